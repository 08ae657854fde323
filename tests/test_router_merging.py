"""Contacts that are one person: what the one takes over, what it gives back, in whatever order the router hears of it."""

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley.addresses import Address
from parley.contracts import (
    AgentActed,
    Channel,
    ConsentChanged,
    ConsentState,
    ContactAbsorbed,
    ContactMerged,
    ContactParted,
    ConversationChanged,
    Data,
    MessageReceived,
    Purpose,
)
from parley_ingest.merging import Held, Tie, moves, settled
from parley_router.decide import decide
from parley_router.merging import parts
from parley_router.state import Agreement, ContactState, Conversation, Promised, labels
from tests.test_router import ADDRESS, BOOK, T0, acted, envelope, received

OLD, YOUNG, THIRD = UUID(int=1), UUID(int=2), UUID(int=3)
SMS, MAIL = Channel.SMS, Channel.EMAIL
MARKETING = "sms:marketing"


def agreed(state: ConsentState, minutes: int = 0) -> Agreement:
    return Agreement(state=state, at=T0 + timedelta(minutes=minutes))


STATES = {
    OLD: ContactState(
        profile={"name": "Minji"}, addresses={SMS: ADDRESS}, channel=SMS, account="acme-sms", received=3,
        consents={MARKETING: agreed(ConsentState.GRANTED), "sms:reply": agreed(ConsentState.GRANTED)},
    ),
    YOUNG: ContactState(
        profile={"name": "M.", "city": "Seoul"}, addresses={MAIL: "m@b.example"}, orders={"A1": "placed"}, tags=("vip",), received=1,
        consents={MARKETING: agreed(ConsentState.REVOKED, 1), "email:marketing": agreed(ConsentState.GRANTED, 1)},
    ),
    THIRD: ContactState(profile={"city": "Busan"}, addresses={Channel.TELEGRAM: "5"}, orders={"B1": "shipped"}, tags=("vip", "new"), language="ko"),
}  # fmt: skip


class Router:
    """States by contact, and what is under way to each."""

    def __init__(self, states=STATES) -> None:
        self.states, self.on_the_way, self.said = dict(states), list[Data](), list[Data]()

    def take(self, data: Data, minutes: int = 10) -> None:
        state, results = decide(self.states.get(data.contact_id), envelope(data, T0 + timedelta(minutes=minutes)), T0, BOOK)
        self.states[data.contact_id] = state
        self.said += results
        self.on_the_way += [one for one in results if one.topic == "parley.inbound"]

    def run(self) -> None:
        while self.on_the_way:
            self.take(self.on_the_way.pop(0))

    def consent(self, contact: UUID, key: str) -> ConsentState | None:
        """What sender believes: the latest word, of two at once the refusal."""
        channel, _, purpose = key.partition(":")
        told = [
            one for one in self.said if isinstance(one, ConsentChanged) and (one.contact_id, one.channel, one.purpose) == (contact, channel, purpose)
        ]
        latest = max(told, key=lambda one: (one.at, one.state is ConsentState.REVOKED), default=None)
        return latest.state if latest else None


def joined(contact: UUID = YOUNG, into: UUID | None = OLD, version: int = 1, minutes: int = 10) -> ContactMerged:
    return ContactMerged(contact_id=contact, into=into, version=version, at=T0 + timedelta(minutes=minutes))


def parting(version: int = 2, minutes: int = 20) -> list[Data]:
    return [
        ContactParted(contact_id=OLD, other=YOUNG, contacts=(YOUNG,), addresses={MAIL: ("m@b.example",)}, version=version, at=T0 + timedelta(minutes=minutes)),
        joined(YOUNG, None, version, minutes),
    ]  # fmt: skip


def one_person() -> Router:
    router = Router()
    router.take(joined())
    router.run()
    return router


def test_gaps_are_filled_and_the_older_keeps_its_own():
    """The survivor knows what either knew; where both know something, its own stays."""
    state = one_person().states[OLD]

    assert ({"name": "Minji", "city": "Seoul"}, {"A1": "placed"}, ("vip",)) == (state.profile, state.orders, state.tags)
    assert ({SMS: ADDRESS, MAIL: "m@b.example"}, 4) == (state.addresses, state.received)


def test_a_refusal_wins_over_a_grant():
    """Also in what sender is told, and a grant is told as of when it was given."""
    router = one_person()
    state = router.states[OLD]

    assert (ConsentState.REVOKED, ConsentState.GRANTED) == (state.consent(SMS, Purpose.MARKETING), state.consent(MAIL, Purpose.MARKETING))
    assert ConsentState.REVOKED is router.consent(OLD, MARKETING)
    assert [T0 + timedelta(minutes=1)] == [one.at for one in router.said if isinstance(one, ConsentChanged) and one.channel is MAIL]


def test_a_stop_counts_for_what_is_queued_for_the_former_contact():
    """Sender asks the consent of the contact that a message was made for."""
    router = one_person()
    router.take(received("STOP", T0 + timedelta(minutes=11)).model_copy(update={"contact_id": OLD}), 11)

    assert {ConsentState.REVOKED} == {router.consent(contact, f"sms:{purpose}") for contact in (OLD, YOUNG) for purpose in Purpose}


@pytest.mark.parametrize("data", [received("hello"), acted("order.placed", order_id="Z")], ids=["message", "event"])
def test_what_comes_late_for_a_former_contact_is_passed_on(data):
    """Whoever normalised it did not know yet; the former contact stays as it was."""
    router = one_person()
    before = router.states[YOUNG]
    router.take(data.model_copy(update={"contact_id": YOUNG}))

    assert before == router.states[YOUNG]
    assert [data.model_copy(update={"contact_id": OLD})] == router.on_the_way


def test_an_undone_joining_leaves_both_as_they_were():
    """The survivor forgets what came only from the other; sender believes each again what it believed."""
    router = one_person()
    for one in parting():
        router.take(one)
    router.run()
    own = {
        name: getattr(router.states[OLD], name)
        for name in ("profile", "addresses", "orders", "tags", "consents", "received", "channel", "conversation")
    }

    assert own == {name: getattr(STATES[OLD], name) for name in own}
    assert STATES[YOUNG] == router.states[YOUNG].but(merged=0)
    assert [ConsentState.GRANTED, ConsentState.PENDING] == [router.consent(OLD, key) for key in (MARKETING, "email:marketing")]
    assert ConsentState.GRANTED is router.consent(YOUNG, "email:marketing")


def test_a_refusal_made_while_they_were_one_stays_with_both():
    """STOP came to the survivor from the address that leaves: neither side may write there."""
    router = one_person()
    stop = received("STOP", T0 + timedelta(minutes=15), channel=MAIL).model_copy(update={"contact_id": OLD, "address": "m@b.example"})
    router.take(stop, 15)
    for one in parting():
        router.take(one)
    router.run()

    for contact in (OLD, YOUNG):
        assert router.states[contact].opted_out(MAIL)
        assert {ConsentState.REVOKED} == {router.consent(contact, f"email:{purpose}") for purpose in Purpose}


def test_what_was_learned_meanwhile_stays():
    """Only what is still as it came from the other goes with it."""
    router = one_person()
    router.take(acted("customer.updated", city="Jeju").model_copy(update={"contact_id": OLD, "addresses": {}}))
    for one in parting():
        router.take(one)

    assert "Jeju" == router.states[OLD].profile["city"]


def waiting(number: int) -> Conversation:
    return Conversation(id=UUID(int=number), opened_at=T0, last_at=T0, waiting=True, team="care")


def test_who_waits_for_a_person_still_waits():
    """The conversation goes on with the survivor: the agent's reply, sent to the former contact, reaches it."""
    router = Router(STATES | {YOUNG: STATES[YOUNG].but(conversation=waiting(9))})
    router.take(joined())
    router.run()
    reply = AgentActed(contact_id=YOUNG, conversation_id=UUID(int=9), action="resolve", agent="kim", at=T0 + timedelta(minutes=12))
    router.take(reply)

    assert [("waiting", UUID(int=9)), ("merged", None)] == [labels(router.states[one]) for one in (OLD, YOUNG)]
    router.run()
    assert ("none", None) == labels(router.states[OLD])


def promised(number: int) -> Conversation:
    return waiting(number).but(promised=Promised(token="p", due=T0 + timedelta(hours=1)))


def test_what_was_promised_to_a_part_is_due_where_it_is_answered():
    """The survivor waits for it; once answered there, nothing is due any more, also after a parting."""
    router = Router(STATES | {YOUNG: STATES[YOUNG].but(conversation=promised(9))})
    router.take(joined())
    router.run()
    due = [router.states[one].timers() for one in (OLD, YOUNG)]
    router.take(AgentActed(contact_id=OLD, conversation_id=UUID(int=9), action="reply", agent="kim", text="Hello!", at=T0 + timedelta(minutes=12)))
    for one in parting():
        router.take(one)
    router.run()

    assert [{"p": T0 + timedelta(hours=1)}, {}] == due
    assert ["replied"] == [one.change for one in router.said if isinstance(one, ConversationChanged)]
    assert [{}, {}] == [router.states[one].timers() for one in (OLD, YOUNG)]


def test_what_was_answered_stays_so_when_another_part_leaves():
    """The conversation of the part that stays is as far as it came, not as it was when it came."""
    router = Router(STATES | {THIRD: STATES[THIRD].but(conversation=promised(9))})
    for one in (joined(THIRD, OLD, 1), joined(YOUNG, OLD, 2)):
        router.take(one)
    router.run()
    router.take(AgentActed(contact_id=OLD, conversation_id=UUID(int=9), action="reply", agent="kim", text="Hello!", at=T0 + timedelta(minutes=12)))
    for one in parting(3):
        router.take(one)
    router.run()

    assert ({}, UUID(int=9)) == (router.states[OLD].timers(), router.states[OLD].conversation.id)


def test_of_two_that_wait_one_ends():
    """A person has one conversation with people; the other is told to be over, and nobody is left in a list for ever."""
    router = Router(STATES | {OLD: STATES[OLD].but(conversation=waiting(8)), YOUNG: STATES[YOUNG].but(conversation=waiting(9))})
    router.take(joined())
    router.run()

    assert [("resolved", UUID(int=9))] == [(one.change, one.conversation_id) for one in router.said if isinstance(one, ConversationChanged)]
    assert ("waiting", UUID(int=8)) == labels(router.states[OLD])


def test_what_is_repeated_or_outrun_changes_nothing():
    """An older word that arrives after a newer one, and any word twice."""
    router = one_person()
    absorbed = next(one for one in router.said if isinstance(one, ContactAbsorbed))
    once = dict(router.states)
    router.take(absorbed)
    router.take(joined())
    assert once == router.states

    for one in parting():
        router.take(one)
    apart = dict(router.states)
    router.take(absorbed)
    router.take(joined())
    assert apart == router.states


# --- any order ---------------------------------------------------------------------------------------------------------------------------


def nodes() -> dict[UUID, Address]:
    return {OLD: Address("t", "phone", ADDRESS), YOUNG: Address("t", "email", "m@b.example"), THIRD: Address("t", "telegram", "5")}


def told(pairs: list[set[UUID]]) -> list[list[Data]]:
    """What ingest says when it joins and parts these pairs of contacts, each time the other way; at last everybody is on their own."""
    of = nodes()
    held = [Held(of[one], one, one, T0 + timedelta(seconds=one.int)) for one in sorted(of)]
    together: list[frozenset[UUID]] = []
    found = []
    sequence = [frozenset(one) for one in pairs]
    for version, pair in enumerate([*sequence, *(one for one in dict.fromkeys(sequence) if sequence.count(one) % 2)], 1):
        together = [one for one in together if one != pair] if pair in together else [*together, pair]
        after = settled(held, [Tie(*sorted(of[one] for one in both), merged=T0) for both in together], frozenset())
        said = moves(sorted(held, key=lambda one: one.address), after, frozenset(), T0 + timedelta(minutes=10 + version))
        found.append([one.model_copy(update={"version": version}) for one in said])
        held = after
    return found


PAIRS = st.lists(st.sampled_from([{OLD, YOUNG}, {YOUNG, THIRD}, {OLD, THIRD}]), min_size=1, max_size=6)


@settings(max_examples=300)
@given(PAIRS, st.data())
def test_joined_and_parted_in_any_order_everybody_is_as_before(pairs, data):
    """Property: whatever is joined and parted, and in whatever order the router hears of it, in the end everybody knows what they knew and no refusal is lost."""
    router = Router()
    router.on_the_way = [one for step in told(pairs) for one in step]
    while router.on_the_way:
        router.take(router.on_the_way.pop(data.draw(st.integers(0, len(router.on_the_way) - 1))))

    for contact, before in STATES.items():
        state = router.states[contact]
        assert (None, []) == (state.into, parts(state))
        assert (before.profile, before.orders, before.addresses, set(before.tags), before.language, before.received) == (
            state.profile, state.orders, state.addresses, set(state.tags), state.language, state.received,
        )  # fmt: skip
        for key, said in before.consents.items():
            assert said.state is state.consents[key].state or ConsentState.REVOKED is state.consents[key].state


@given(PAIRS)
def test_one_person_is_known_by_all_that_is_known_of_them(pairs):
    """Property: while people are one, the survivor knows every order and refuses whatever any of them refused."""
    for step in range(1, len(pairs) + 1):
        router = Router()
        for said in told(pairs)[:step]:
            router.on_the_way += said
            router.run()
        for contact, state in router.states.items():
            if state.into is not None:
                top = router.states[state.into]
                assert top.into is None and contact in parts(top)
                assert STATES[contact].orders.keys() <= top.orders.keys()
                assert {key for key, one in STATES[contact].consents.items() if one.state is ConsentState.REVOKED} <= {
                    key for key, one in top.consents.items() if one.state is ConsentState.REVOKED
                }


def test_a_message_after_an_undo_is_the_own_contacts():
    """Nothing is passed on any more."""
    router = one_person()
    for one in parting():
        router.take(one)
    router.run()
    router.take(received("hello").model_copy(update={"contact_id": YOUNG}))

    assert not [one for one in router.on_the_way if isinstance(one, MessageReceived)]
    assert STATES[YOUNG].received + 1 == router.states[YOUNG].received
