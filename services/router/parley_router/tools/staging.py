"""A conversation that is written down, on stage: the contact as the test describes it, each thing made to happen, services answering what they are told to.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from fnmatch import fnmatchcase
from uuid import UUID

from pydantic import ValidationError

from parley.contracts import Choice, Location, Media, Purpose
from parley.wire import in_words, natural_id
from parley_router.catalogue import Book
from parley_router.daytime import next_at
from parley_router.flow import Flow
from parley_router.state import Agreement, ContactState, Scores, Wanted
from parley_router.steps import Split
from parley_router.tools.entries import After, Agent, At, Clicks, Event, Happening, Meaning, Model, Resolves, Says, Sends, Served, Service, Taps
from parley_router.tools.rehearsal import Answer, Answering, Rehearsal
from parley_router.tools.talks import Contact, Test
from parley_router.walk import drawn

DRAWS = 10_000
"""Contacts that are tried for one whom the hash puts into the variants that a test asks for."""


class Impossible(ValueError):
    """The test asks for what cannot be. The sentence says what, and what to do."""


@dataclass
class Stage:
    """What answers from outside while a test runs; the test changes it as it goes."""

    reading: Answering | None = None
    """Reads messages for which the test says no meaning; without it nobody understands them."""
    services: dict[str, list[Served]] = field(default_factory=dict)
    model: Answer | None = None
    meaning: Meaning | None = None

    def answer(self, wanted: Wanted) -> Answer | None:
        """What is answered to a call; None: the test does not say."""
        match wanted.kind:
            case "read":
                return self._read(wanted)
            case "answer":
                return self.model
            case _:
                fits = [one for one in self.services.get(wanted.service, ()) if _fits(one, wanted)]
                return _answer(fits[-1]) if fits else None

    def _read(self, wanted: Wanted) -> Answer | None:
        if (one := self.meaning) is None:
            return self.reading(wanted) if self.reading is not None else Answer(body={"verdict": "unknown"})
        verdict = one.verdict or ("unknown" if not one.intents else "sure" if len(one.intents) == 1 else "unsure")
        return Answer(body={**one.model_dump(mode="json"), "verdict": verdict})


def _fits(served: Served, wanted: Wanted) -> bool:
    return (
        reads_like(served.path, wanted.path)
        and served.method in (None, wanted.method)
        and (served.body is None or served.body == wanted.body)
    )  # fmt: skip


def _answer(served: Served) -> Answer:
    if served.error is not None:
        return Answer(None, None, served.error)
    return Answer(served.status, served.answer, None if 200 <= served.status < 300 else f"status {served.status}")


def reads_like(pattern: str, text: str) -> bool:
    """Whether a text is that of the pattern, in which `*` stands for anything; blanks around it do not matter."""
    plain = "".join(f"[{one}]" if one in "[?" else one for one in pattern.strip())
    return fnmatchcase(text.strip(), plain)


# --- who it is ---------------------------------------------------------------------------------------------------------------------------


def rehearsal(test: Test, tenant: str, book: Book, zone: tzinfo, stage: Stage) -> Rehearsal:
    """The conversation before it begins. Raises `Impossible`."""
    one, now = test.contact, test.at.replace(tzinfo=zone)
    for purpose in one.variants:
        if purpose not in _experiments(book, tenant):
            raise Impossible(f"no flow has an experiment {purpose!r}; known: {', '.join(_experiments(book, tenant)) or 'none'}")
    state = ContactState() if one.new else _known(one)
    state = state.but(
        profile=dict(one.profile), tags=one.tags, orders={key.upper(): value for key, value in one.orders.items()}, consents=_consents(one, now),
        happened={name: tuple(sorted(now - ago for ago in times)) for name, times in one.events.items()},
    )  # fmt: skip
    if one.scores is not None:
        state = state.but(scores=Scores(**one.scores.model_dump(), at=now - timedelta(days=1)))
    if one.language is not None or not one.new:
        state = state.but(language=one.language or book.shelves[tenant].languages[0])
    return Rehearsal(book, tenant, stage.answer, now, state, _somebody(one.variants, _experiments(book, tenant)), one.channel, one.address)


def _known(one: Contact) -> ContactState:
    """Who has written before, some time ago."""
    addresses = {one.channel: one.address, **{channel: f"customer-{channel}" for channel in one.channels if channel is not one.channel}}
    return ContactState(channel=one.channel, addresses=addresses, received=1)


def _consents(one: Contact, now: datetime) -> dict[str, Agreement]:
    return {consent_key(name, one): Agreement(state=state, at=now - timedelta(days=1)) for name, state in one.consents.items()}


def consent_key(name: str, one: Contact) -> str:
    """`sms:marketing`, where a test may leave the contact's own channel out."""
    return name if ":" in name else f"{one.channel}:{Purpose(name)}"


def _experiments(book: Book, tenant: str) -> Mapping[str, Mapping[str, int]]:
    """The weights of the variants, by what tests call an experiment."""
    return {name: weights for flow in book.shelves[tenant].flows.values() for name, weights in _of_flow(flow)}


def _of_flow(flow: Flow) -> Iterator[tuple[str, Mapping[str, int]]]:
    if flow.variants:
        yield str(flow.campaign), flow.variants
    for step in flow.steps:
        if isinstance(step, Split):
            yield step.split, step.weights


def _somebody(variants: Mapping[str, str], experiments: Mapping[str, Mapping[str, int]]) -> UUID:
    """The first contact of a fixed row of them that is in these variants."""
    for experiment, variant in variants.items():
        if variant not in experiments[experiment]:
            raise Impossible(f"the experiment {experiment!r} has no variant {variant!r}; known: {', '.join(experiments[experiment])}")
    for number in range(DRAWS):
        contact = natural_id("rehearsal", str(number))
        if all(drawn(experiment, experiments[experiment], contact) == variant for experiment, variant in variants.items()):
            return contact
    raise Impossible(f"of {DRAWS:,} contacts none is in these variants at once: {', '.join(f'{name} {one}' for name, one in variants.items())}")


# --- what happens ------------------------------------------------------------------------------------------------------------------------


def given(stage: Stage, entry: Service | Model) -> None:
    """From here on this is answered."""
    if isinstance(entry, Model):
        stage.model = Answer(body={"text": entry.model}) if entry.model is not None else Answer(404, None, "nothing stands in the FAQ")
        return
    for name, served in entry.service.items():
        stage.services.setdefault(name, []).extend(served)


def happens(stage: Stage, one: Rehearsal, entry: Happening) -> None:
    """Makes it happen. Raises `Impossible`, and `Unanswered` where something is asked that nobody answers."""
    stage.meaning = entry.means if isinstance(entry, Says) else None
    match entry:
        case Says():
            one.writes(entry.says, channel=entry.channel)
        case Taps():
            one.writes(choice=_choice(one, entry.tap), channel=entry.channel)
        case Sends():
            _sends(one, entry)
        case Event():
            _event(one, entry)
        case After():
            one.passes(entry.after)
        case At():
            one.until(_moment(one, entry))
        case Clicks():
            _clicks(one, entry.clicks)
        case Agent() | Resolves():
            _agent(one, entry)


def _event(one: Rehearsal, entry: Event) -> None:
    try:
        one.event(entry.event, entry.given)
    except ValidationError as error:
        raise Impossible(f"{entry.event} does not happen like that: {in_words(error)}") from error


def _choice(one: Rehearsal, wanted: str) -> Choice:
    """The choice that was offered last, by its id, by what it reads, or by its number."""
    offered = next((spoken.message.content.choices for spoken in reversed(one.spoken) if spoken.message.content.choices), ())
    by_name = (choice for choice in offered if wanted in (choice.id, choice.title))
    found = next(by_name, None) or next((choice for place, choice in enumerate(offered, 1) if wanted == str(place)), None)
    if found is None:
        known = ", ".join(f"{choice.id} ({choice.title})" for choice in offered)
        raise Impossible(f"nobody can tap {wanted!r}: " + (f"offered were {known}" if known else "nothing was offered to tap"))
    return found


def _sends(one: Rehearsal, entry: Sends) -> None:
    sent = entry.sends
    if sent.location is not None:
        one.writes(location=Location(lat=sent.location.lat, lon=sent.location.lon))
        return
    kind, url = next(iter(sent.model_dump(exclude_none=True).items()))
    one.writes(media=Media(kind=kind, url=url))


def _moment(one: Rehearsal, entry: At) -> datetime:
    if not isinstance(entry.at, datetime):
        return next_at(one.now + timedelta(minutes=1), entry.at, None)
    found = entry.at.replace(tzinfo=one.now.tzinfo)
    if found.astimezone(UTC) < one.now.astimezone(UTC):
        raise Impossible(f"it is {one.now:%Y-%m-%d %H:%M} by now: time does not run back to {found:%Y-%m-%d %H:%M}")
    return found


def _clicks(one: Rehearsal, pattern: str) -> None:
    found = next((spoken.message for spoken in reversed(one.spoken) if reads_like(pattern, spoken.message.content.text)), None)
    if found is None:
        raise Impossible(f"no message reads like {pattern!r}, so nobody can click in it")
    one.clicks(found)


def _agent(one: Rehearsal, entry: Agent | Resolves) -> None:
    try:
        if isinstance(entry, Agent):
            one.agent("reply", entry.agent)
        else:
            one.agent("resolve")
    except LookupError as error:
        raise Impossible(f"{error}: put what escalates before it") from error
