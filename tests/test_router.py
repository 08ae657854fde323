"""The router's decision: conversations written down as text, and the rules that hold for any sequence of events."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args
from uuid import UUID, uuid4

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from parley import yamlfile
from parley.contracts import (
    BY_TOPIC_AND_TYPE,
    AgentActed,
    CallReturned,
    Channel,
    Choice,
    ConsentChanged,
    ConsentState,
    ConversationChanged,
    Customer,
    CustomerActed,
    Data,
    Envelope,
    MessageReceived,
    MessageRequested,
    OfContact,
    OptedOut,
    Purpose,
    TimerFired,
)
from parley.optwords import wish
from parley.wire import caused_id
from parley_router.catalogue import Book, load
from parley_router.decide import Inbound, decide, decided
from parley_router.state import ContactState, labels

HERE = Path(__file__).parent
CONVERSATIONS = sorted((HERE / "conversations").glob("*.yaml"))
BOOK = load(HERE.parent / "config" / "flows", {"acme": ("ko", "en")})
T0 = datetime(2026, 3, 2, 9, tzinfo=UTC)
CONTACT = UUID(int=7)
ADDRESS = "+821012345678"


# --- conversations written down --------------------------------------------------------------------------------------------------------


class Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tapped(Entry):
    id: str
    title: str = ""


class Event(Entry):
    name: str
    properties: dict[str, Any]


class Agent(Entry):
    action: Literal["reply", "resolve"]
    text: str = ""


class Turn(Entry):
    """What happens (one of customer, tap, event, agent, opted), what the bot says to it (parts of its texts, all of them), what holds then."""

    customer: str | None = None
    tap: str | Tapped | None = None
    event: Event | None = None
    agent: Agent | None = None
    opted: ConsentState | None = None
    kind: Literal["text", "media", "reaction"] = "text"
    channel: Channel = Channel.SMS
    after: str = "1min"
    bot: tuple[str, ...]
    choices: tuple[str, ...] | None = None
    changes: tuple[str, ...] | None = None
    purpose: Purpose = Purpose.REPLY
    campaign: str | None = None
    channels: tuple[Channel, ...] | None = None
    notice: str | None = None
    then: dict[str, Any] = {}


class Written(Entry):
    about: str
    turns: tuple[Turn, ...]


@dataclass
class Talk:
    """A contact's way through a series of events: the state after each, and all that came of it."""

    book: Book = BOOK
    state: ContactState | None = None
    now: datetime = T0
    events: list[Envelope] = field(default_factory=list)

    def take(self, data: Data) -> Sequence[Data]:
        event = envelope(data, self.now, number=str(len(self.events)))
        self.events.append(event)
        self.state, results = decide(self.state, event, self.now, self.book)
        return results


def envelope(data: Data, at: datetime, number: str = "e", tenant: str = "acme") -> Envelope:
    return Envelope(id=number, source="test", time=at, started_at=at, tenant=tenant, data=data)


def received(
    text: str | None, at: datetime = T0, *, channel: Channel = Channel.SMS, kind: Any = "text", choice: Choice | None = None
) -> MessageReceived:
    return MessageReceived(
        contact_id=CONTACT, message_id=uuid4(), account=f"acme-{channel}", channel=channel, address=ADDRESS, kind=kind,
        text=text, choice=choice, received_at=at,
    )  # fmt: skip


def acted(name: str, at: datetime = T0, /, **properties: Any) -> CustomerActed:
    known = {Channel.SMS: ADDRESS}
    return CustomerActed(contact_id=CONTACT, customer=Customer(id="c"), name=name, properties=properties, occurred_at=at, addresses=known)


def data_of(turn: Turn, talk: Talk) -> Data:
    """The event that a turn of a written conversation is."""
    if turn.customer is not None:
        return received(turn.customer, talk.now, channel=turn.channel, kind=turn.kind)
    if turn.tap is not None:
        tapped = turn.tap if isinstance(turn.tap, Tapped) else Tapped(id=turn.tap)
        return received(None, talk.now, channel=turn.channel, kind="choice", choice=Choice(id=tapped.id, title=tapped.title))
    if turn.event is not None:
        return acted(turn.event.name, talk.now, **turn.event.properties)
    if turn.agent is not None:
        conversation = talk.state.conversation if talk.state else None
        number = conversation.id if conversation else UUID(int=0)
        return AgentActed(
            contact_id=CONTACT, conversation_id=number, action=turn.agent.action, agent="mina", text=turn.agent.text, at=talk.now
        )  # fmt: skip
    assert turn.opted is not None
    return OptedOut(
        contact_id=CONTACT, account="acme-sms", channel=turn.channel, address=ADDRESS, state=turn.opted, purposes=tuple(Purpose), at=talk.now
    )


def duration(text: str) -> timedelta:
    return timedelta(hours=int(text.removesuffix("h"))) if text.endswith("h") else timedelta(minutes=int(text.removesuffix("min")))


def facts(state: ContactState) -> dict[str, Any]:
    """What a written conversation may ask about the state."""
    return {
        "language": state.language, "status": state.status, "orders": state.orders,
        "team": state.conversation.team if state.conversation else None,
        "flow": state.position.flow if state.position else None,
        "consents": {key: str(one.state) for key, one in state.consents.items()},
    }  # fmt: skip


def expected(turn: Turn, results: Sequence[Data]) -> dict[str, Any]:
    """What the turn says of the results, filled up with what came where the turn says nothing; a part of a text stands for the text."""
    came = actual(results)
    parts = turn.bot if len(turn.bot) == len(came["bot"]) else ()
    bot = [text if part in text else part for part, text in zip(parts, came["bot"], strict=True)] if parts else list(turn.bot)
    said = {"bot": bot, "choices": turn.choices, "changes": turn.changes, "channels": turn.channels}
    spoke = {"purpose": {turn.purpose}, "campaign": {turn.campaign}} if turn.bot else {"purpose": set(), "campaign": set()}
    notice = {"notice": {turn.notice}} if turn.notice else {"notice": came["notice"]}
    return {**came, **{key: value for key, value in said.items() if value is not None}, **spoke, **notice}


def actual(results: Sequence[Data]) -> dict[str, Any]:
    said = [one for one in results if isinstance(one, MessageRequested)]
    return {
        "bot": [one.content.text for one in said],
        "choices": tuple(choice.id for one in said for choice in one.content.choices),
        "changes": tuple(one.change for one in results if isinstance(one, ConversationChanged)),
        "channels": said[-1].channels if said else (),
        "purpose": {one.purpose for one in said},
        "campaign": {one.campaign for one in said},
        "notice": {one.notice for one in said},
    }


def walked(path: Path) -> Iterator[tuple[Turn, ContactState, Sequence[Data]]]:
    talk = Talk()
    for turn in yamlfile.read(path, Written).turns:
        talk.now += duration(turn.after)
        results = talk.take(data_of(turn, talk))
        assert talk.state is not None
        yield turn, talk.state, results


@pytest.mark.parametrize("path", CONVERSATIONS, ids=lambda path: path.stem)
def test_written_conversations(path):
    """Every conversation goes as it is written."""
    for number, (turn, state, results) in enumerate(walked(path), 1):
        here = facts(state)

        assert (number, expected(turn, results), turn.then) == (number, actual(results), {key: here[key] for key in turn.then})


# --- rules -----------------------------------------------------------------------------------------------------------------------------


def test_every_kind_of_event_is_decided():
    """What parley.inbound carries by the contract is what the decision takes."""
    carried = {model for (topic, _), model in BY_TOPIC_AND_TYPE.items() if topic == MessageReceived.topic}

    assert carried == set(get_args(Inbound))


def test_ids_are_the_causes():
    """A message has the id that its cause and its place give, so a repeat makes the same."""
    results = Talk().take(received("FAQ"))

    assert [caused_id("0", 1)] == [one.message_id for one in results if isinstance(one, MessageRequested)]


def test_unknown_tenant():
    """An event of a tenant that there is not is refused with a sentence."""
    with pytest.raises(LookupError, match="there is no tenant 'nobody'"):
        decide(None, envelope(received("hi"), T0, tenant="nobody"), T0, BOOK)


def test_event_of_another_topic():
    """What is no event of parley.inbound is refused."""
    with pytest.raises(TypeError, match="is no event of parley.inbound"):
        decide(None, envelope(Talk().take(received("hi"))[0], T0), T0, BOOK)


def test_flow_that_cannot_go_on_says_why():
    """A text that lacks a value is not sent, and the trouble names flow, step and value. Who was drawn for a variant was drawn all the same."""
    found = decided(ContactState(addresses={Channel.SMS: ADDRESS}), envelope(acted("cart.abandoned"), T0), T0, BOOK)

    assert (["parley.contact.drawn"], ["flow cart-reminder@1, step 1: event.cart_id is undefined"]) == (
        [one.type for one in found.results],
        found.troubles,
    )


def test_flow_that_nobody_hears_does_not_begin():
    """Where every channel refuses a flow's purpose, the flow is not even tried."""
    talk = Talk()
    talk.take(received("STOP"))
    found = decided(talk.state, envelope(acted("cart.abandoned"), T0), T0, BOOK)

    assert ([], []) == (found.results, found.troubles)


def test_consent_of_a_flow_does_not_outlive_a_stop():
    """A consent is dated by the message that gave it, not by when it was decided: a STOP written later wins, however late both are read."""
    talk = Talk()
    talk.take(received("hi", T0))
    talk.now = T0 + timedelta(hours=5)
    agreed = [one.at for one in talk.take(received("1", T0 + timedelta(seconds=1))) if isinstance(one, ConsentChanged)]
    stopped = [one.at for one in talk.take(received("STOP", T0 + timedelta(seconds=2))) if isinstance(one, ConsentChanged)]

    assert [timedelta(seconds=1)] * 3 == [stop - agreed[0] for stop in stopped]


def test_late_opt_in_of_the_provider():
    """What a provider says late does not undo a STOP written since."""
    talk = Talk()
    talk.take(received("STOP", T0))
    late = T0 - timedelta(hours=1)
    old = OptedOut(
        contact_id=CONTACT, account="a", channel=Channel.SMS, address=ADDRESS, state=ConsentState.GRANTED, purposes=tuple(Purpose), at=late
    )

    assert (True, []) == ((results := talk.take(old)) == [] and talk.state.opted_out(Channel.SMS), results)


def test_language_that_the_tenant_gave_up():
    """Who spoke a language that the tenant no longer has is spoken to in its first."""
    _, results = decide(ContactState(language="fr", received=3), envelope(received("?"), T0), T0, BOOK)

    assert [("죄송해요", "주문 조회")] == [
        (one.content.text[:4], one.content.choices[0].title) for one in results if isinstance(one, MessageRequested)
    ]


def test_labels_follow_the_conversation():
    """Beside the state stands who answers, and the conversation's id."""
    talk = Talk()
    before = labels(ContactState())
    talk.take(received("agent"))

    assert (("none", None), ("waiting", talk.state.conversation.id)) == (before, labels(talk.state))


def test_orders_are_bounded():
    """Twenty orders are remembered, the latest."""
    talk = Talk()
    for number in range(30):
        talk.take(acted("order.placed", order_id=number))

    assert [str(number) for number in range(10, 30)] == list(talk.state.orders)


# --- properties ------------------------------------------------------------------------------------------------------------------------

WORDS = (
    "hi", "안녕하세요", "1", "2", "3", "9", "yes", "no", "네", "아니요", "faq", "주문 조회", "track order", "A1001", "상담원", "agent", "배송", "returns",
    "stop", "STOP!", "수신거부", "start", "수신동의", "help", "도움말", "", "?", "🙂", "Привет", "a\x00b", "{{ profile.name }}", "x" * 600,
)  # fmt: skip
IDS = ("yes", "no", "order", "faq", "person", "delivery", "returns", "hours", "again", "nonsense")
NAMES = ("cart.abandoned", "order.placed", "order.shipped", "order.delivered", "customer.updated", "something.else")
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just("a\x00b"), lambda one: st.lists(one, max_size=3), max_leaves=5
)
channels = st.sampled_from([Channel.SMS, Channel.WHATSAPP])
moments = st.integers(0, 100 * 3600).map(lambda seconds: T0 + timedelta(seconds=seconds))
messages = st.builds(
    lambda text, channel, kind, at: received(text, at, channel=channel, kind=kind),
    st.sampled_from(WORDS) | st.text(max_size=30), channels, st.sampled_from(["text", "media", "reaction", "system", "location"]), moments,
)  # fmt: skip
taps = st.builds(
    lambda one, title, channel, at: received(None, at, channel=channel, kind="choice", choice=Choice(id=one, title=title)),
    st.sampled_from(IDS), st.sampled_from(WORDS[:20]), channels, moments,
)  # fmt: skip
events = st.builds(
    lambda name, properties, order, at: acted(name, at, **({**properties, "order_id": order} if order else properties)),
    st.sampled_from(NAMES),
    st.dictionaries(st.sampled_from(["cart_id", "order_id", "name", "language", "tags", "tracking_url"]), json, max_size=4),
    st.sampled_from(["", "A1001"]), moments,
)  # fmt: skip
opted = st.builds(
    lambda state, purposes, channel, at: OptedOut(
        contact_id=CONTACT, account="a", channel=channel, address=ADDRESS, state=state, purposes=tuple(purposes), at=at
    ),
    st.sampled_from(ConsentState), st.sets(st.sampled_from(Purpose), min_size=1), channels, moments,
)  # fmt: skip
stale = st.sampled_from([
    TimerFired(contact_id=CONTACT, timer="t", token="x", due_at=T0), CallReturned(contact_id=CONTACT, call="c", token="x", body={"a": 1}),
])  # fmt: skip
agents = st.tuples(st.sampled_from(["reply", "resolve"]), st.booleans(), moments)
"""Action, whether it is about the current conversation, and when."""
histories = st.lists(st.one_of(messages, messages, messages, taps, events, opted, stale, agents), max_size=25)
thorough = settings(print_blob=False, max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def lived(history: Sequence[Any], later: timedelta = timedelta(0)) -> Iterator[tuple[ContactState | None, Data, ContactState, Sequence[Data]]]:
    """State before, event, state after and results, of each event; `later`: how long after the events it is all decided."""
    talk = Talk(now=T0 + later)
    for data in history:
        before = talk.state
        if isinstance(data, tuple):
            action, current, at = data
            number = before.conversation.id if current and before and before.conversation else UUID(int=0)
            data = AgentActed(contact_id=CONTACT, conversation_id=number, action=action, agent="mina", text="hello from a person", at=at)
        event = envelope(data, data.received_at if isinstance(data, MessageReceived) else T0, number=str(len(talk.events)))
        talk.events.append(event)
        talk.state, results = decide(before, event, talk.now, BOOK)
        yield before, data, talk.state, results


def strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from strings(one)


def spoken(results: Sequence[Data]) -> list[MessageRequested]:
    return [one for one in results if isinstance(one, MessageRequested)]


@thorough
@given(histories)
def test_states_round_trip(history):
    """Whatever happens nothing is raised, the state is the same after storing, and the results are contract data of the contact."""
    for _, _, state, results in lived(history):
        stored = state.model_dump_json(exclude_defaults=True)
        again = [type(one).model_validate_json(one.model_dump_json()) for one in results]

        assert (state, list(results)) == (ContactState.model_validate_json(stored), again)
        assert {CONTACT} >= {one.contact_id for one in results if isinstance(one, OfContact)}


@thorough
@given(histories)
def test_states_can_be_stored(history):
    """No text in a state has a NUL character, which PostgreSQL's JSON cannot hold."""
    for _, _, state, _ in lived(history):
        assert [] == [text for text in strings(orjson.loads(state.model_dump_json(exclude_defaults=True))) if "\x00" in text]


@thorough
@given(histories)
def test_state_does_not_hang_on_when_it_is_decided(history):
    """The same events give the same states, the same results and ids, however much later they are read; only the dates of changes differ."""
    at_once = [(state, [one.model_copy(update={"at": T0}) if "at" in type(one).model_fields else one for one in said])
               for _, _, state, said in lived(history)]  # fmt: skip
    later = [(state, [one.model_copy(update={"at": T0}) if "at" in type(one).model_fields else one for one in said])
             for _, _, state, said in lived(history, timedelta(days=3))]  # fmt: skip

    assert at_once == later


def refusals(data: Data, results: Sequence[Data], known: dict[tuple[Channel, Purpose], tuple[datetime, ConsentState]]) -> None:
    """Takes down who refused what and when, from the events themselves: the latest word counts, and of two at once the one read last."""
    said: list[tuple[Channel, Purpose, datetime, ConsentState]] = []
    if isinstance(data, MessageReceived):
        word = wish(data.text or (data.choice.title if data.choice else ""))
        if word in ("opt_out", "opt_in"):
            meant = ConsentState.REVOKED if word == "opt_out" else ConsentState.GRANTED
            said = [(data.channel, one, data.received_at, meant) for one in Purpose]
    if isinstance(data, OptedOut):
        said = [(data.channel, one, data.at, data.state) for one in data.purposes]
    said += [(one.channel, one.purpose, one.at, one.state) for one in results if isinstance(one, ConsentChanged) and one.source == "flow"]
    for channel, purpose, at, state in said:
        if (channel, purpose) not in known or known[channel, purpose][0] <= at:
            known[channel, purpose] = at, state


@thorough
@given(histories)
def test_nothing_is_said_where_it_is_refused(history):
    """Where a purpose was refused nothing is said for it but notices; so after an opt-out nothing else until an opt-in."""
    known: dict[tuple[Channel, Purpose], tuple[datetime, ConsentState]] = {}
    for _, data, _, results in lived(history):
        refused = {key for key, (_, state) in known.items() if state is ConsentState.REVOKED}
        said = {(channel, one.purpose) for one in spoken(results) if one.notice is None for channel in one.channels}
        refusals(data, results, known)

        assert set() == said & refused


@thorough
@given(histories)
def test_messages_can_be_delivered(history):
    """Every message names at least one channel, and an address for each."""
    for _, _, _, results in lived(history):
        for one in spoken(results):
            assert one.channels
            assert set(one.channels) == set(one.addresses)


@thorough
@given(histories)
def test_bot_is_silent_while_a_person_is_wanted(history):
    """While a conversation waits for a person, only that person and the notices are heard."""
    for before, data, _, results in lived(history):
        if before is not None and before.waiting and not isinstance(data, AgentActed):
            assert {one.notice for one in spoken(results)} <= {"opted_out", "opted_in", "help"}


@thorough
@given(histories)
def test_notice_answers_an_opt_word_only(history):
    """A notice is said to nothing but a word for opting out, opting in or help, and at most one."""
    for _, data, _, results in lived(history):
        notices = [one for one in spoken(results) if one.notice is not None]
        word = isinstance(data, MessageReceived) and wish(data.text or (data.choice.title if data.choice else "")) is not None

        assert len(notices) <= word


@thorough
@given(histories, st.sampled_from(["reply", "resolve"]))
def test_stale_agent_action_changes_nothing(history, action):
    """A person's action on a conversation that is not the current one has no effect."""
    *_, last = [(None, None, None, ()), *lived(history)]
    stale_action = AgentActed(contact_id=CONTACT, conversation_id=UUID(int=1), action=action, agent="mina", text="x", at=T0)
    state, results = decide(last[2], envelope(stale_action, T0), T0, BOOK)

    assert (last[2] or ContactState(), []) == (state, results)
