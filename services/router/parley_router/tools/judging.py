"""Whether a conversation went as a test says: everything said is expected, in order, and everything expected holds. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import NamedTuple

from parley.contracts import Data, GoalChanged
from parley_router.catalogue import Book
from parley_router.tools.entries import (
    Agreed,
    Bot,
    Ended,
    Escalated,
    Happening,
    Keyed,
    Message,
    Model,
    Profile,
    Reached,
    Service,
    Speaks,
    Tags,
    Trouble,
    Waits,
)  # fmt: skip
from parley_router.tools.rehearsal import Answering, Endless, Rehearsal, Spoken, Unanswered
from parley_router.tools.staging import Impossible, Stage, consent_key, given, happens, reads_like, rehearsal
from parley_router.tools.talks import Contact, Test
from parley_router.walk import Passed


class Fault(NamedTuple):
    """Why a test fails: the entry where (its place in the talk; None: before it began), and lines that say it. `cause`: the entry that happened before."""

    entry: int | None
    lines: Sequence[str]
    cause: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a test went; the first fault ends it, for all that follows would follow from it. `trail`: the steps that were taken."""

    fault: Fault | None
    trail: Sequence[Passed]


class Scene(NamedTuple):
    """One thing that happens, and what must come of it: each with its place in the talk."""

    cause: tuple[int, Happening] | None
    after: Sequence[tuple[int, Keyed]]


class Outcome(NamedTuple):
    """What came of one thing that happened."""

    said: Sequence[Spoken]
    results: Sequence[Data]
    troubles: Sequence[str]


def judged(test: Test, tenant: str, book: Book, zone: tzinfo, reading: Answering | None = None) -> Verdict:
    """Rehearses the test's conversation. `reading`: what reads messages whose meaning the test does not say."""
    stage = Stage(reading)
    try:
        one = rehearsal(test, tenant, book, zone, stage)
    except Impossible as error:
        return Verdict(Fault(None, [str(error)]), ())
    for scene in scenes(test.talk):
        if (fault := _played(stage, one, scene, test.contact)) is not None:
            return Verdict(fault, one.trail)
    return Verdict(None, one.trail)


def scenes(talk: Sequence[Keyed]) -> Iterator[Scene]:
    """The talk, cut before each thing that happens; what services answer counts from where it stands."""
    cause: tuple[int, Happening] | None = None
    after: list[tuple[int, Keyed]] = []
    for place, entry in enumerate(talk):
        if isinstance(entry, Happening):
            yield Scene(cause, after)
            cause, after = (place, entry), []
        else:
            after.append((place, entry))
    yield Scene(cause, after)


def _played(stage: Stage, one: Rehearsal, scene: Scene, contact: Contact) -> Fault | None:
    before = len(one.spoken), len(one.results), len(one.troubles)
    cause = scene.cause[0] if scene.cause is not None else None
    try:
        if scene.cause is not None:
            happens(stage, one, scene.cause[1])
    except (Impossible, Endless) as error:
        return Fault(cause, [str(error)])
    except Unanswered as error:
        return Fault(cause, [f"{error}, and the test does not say what is answered: say it with `service`, `model` or `means`"])
    outcome = Outcome(one.spoken[before[0] :], one.results[before[1] :], one.troubles[before[2] :])
    if (fault := _compared(scene, outcome.said, one)) is not None:
        return fault._replace(lines=[*fault.lines, *(f"could not be done: {line}" for line in outcome.troubles)])
    for place, entry in scene.after:
        if isinstance(entry, Service | Model):
            given(stage, entry)
        elif lines := [_is(*fact) for fact in _facts(entry, one, contact, outcome) if fact[1] != fact[2]]:
            return Fault(place, lines, cause)
    expected = [entry.trouble for _, entry in scene.after if isinstance(entry, Trouble)]
    wrong = [f"could not be done: {line}" for line in outcome.troubles if not any(reads_like(pattern, line) for pattern in expected)]
    return Fault(cause, wrong) if wrong else None


# --- what is said ------------------------------------------------------------------------------------------------------------------------


def differences(wanted: Message, spoken: Spoken, one: Rehearsal) -> list[str]:
    """In what a message is other than expected, a line each."""
    found, content = spoken.message, spoken.message.content
    lines = []
    if wanted.text is not None and not reads_like(wanted.text, content.text):
        lines.append("text")
    if wanted.exactly is not None and wanted.exactly != content.text:
        lines.append("text, to the letter")
    lines += [f"does not contain {part!r}" for part in wanted.contains if part not in content.text]
    if wanted.choices is not None and not _same_choices(wanted.choices, [(choice.id, choice.title) for choice in content.choices]):
        lines.append(f"choices: expected {_listed(wanted.choices)}; offered {_listed(f'{choice.id} ({choice.title})' for choice in content.choices)}")
    for name, patterns, had in (
        ("media", wanted.media, [media.url or "" for media in content.media]), ("cards", wanted.cards, [card.title for card in content.cards]),
    ):  # fmt: skip
        if patterns is not None and (len(patterns) != len(had) or not all(map(reads_like, patterns, had))):
            lines.append(f"{name}: expected {_listed(patterns)}; there are {_listed(had)}")
    facts = {
        "purpose": found.purpose, "campaign": found.campaign, "variant": found.variant, "channel": found.channels[0] if found.channels else None,
        "step": f"{(found.flow or '').partition('@')[0]}/{found.step}",
    }  # fmt: skip
    for name, fact in facts.items():
        if (expected := getattr(wanted, name)) is not None and expected != fact:
            lines.append(f"{name}: expected {expected}, is {fact if fact is not None else 'none'}")
    if "not_before" in wanted.model_fields_set:
        waits = found.not_before.astimezone(one.now.tzinfo).replace(tzinfo=None) if found.not_before else None
        if waits != wanted.not_before:
            lines.append(f"not_before: expected {wanted.not_before or 'none'}, is {waits or 'none'}")
    return lines


def _same_choices(wanted: Sequence[str], offered: Sequence[tuple[str, str]]) -> bool:
    return len(wanted) == len(offered) and all(one in pair for one, pair in zip(wanted, offered, strict=True))


def _listed(parts: Iterable[object]) -> str:
    return ", ".join(str(one) for one in parts) or "none"


def _compared(scene: Scene, said: Sequence[Spoken], one: Rehearsal) -> Fault | None:
    """Expected and said side by side, at the entry of the first difference; None where there is none."""
    wanted = [(place, entry.bot) for place, entry in scene.after if isinstance(entry, Bot)]
    lines, faulty = list[str](), list[int | None]()
    for place, message, spoken in _paired(wanted, said, one):
        wrong = differences(message, spoken, one) if message is not None and spoken is not None else ["text"]
        if message is not None and spoken is not None and not wrong:
            lines.append(f"  = {quoted(spoken.message.content.text)}")
            continue
        faulty.append(place)
        lines += [f"  - {described(message)}"] if message is not None else []
        lines += [f"  + {quoted(spoken.message.content.text)}  {about(spoken)}"] if spoken is not None else []
        lines += [f"      {line}" for line in wrong if line != "text"]
    if not faulty:
        return None
    head = "said, but not expected:" if not wanted else "something else was said (- expected, + said):" if said else "expected, but nothing was said:"
    cause = scene.cause[0] if scene.cause is not None else None
    return Fault(next((place for place in faulty if place is not None), cause), [head, *lines], cause)


Pair = tuple[int | None, Message | None, Spoken | None]


def _paired(wanted: Sequence[tuple[int, Message]], said: Sequence[Spoken], one: Rehearsal) -> list[Pair]:
    """In order, with as many alike side by side as can be (longest common subsequence)."""
    alike = [[not differences(message, spoken, one) for spoken in said] for _, message in wanted]
    best = [[0] * (len(said) + 1) for _ in range(len(wanted) + 1)]
    for i in reversed(range(len(wanted))):
        for j in reversed(range(len(said))):
            best[i][j] = best[i + 1][j + 1] + 1 if alike[i][j] else max(best[i + 1][j], best[i][j + 1])
    pairs: list[Pair] = []
    i = j = 0
    while i < len(wanted) or j < len(said):
        if i < len(wanted) and j < len(said) and (alike[i][j] or best[i + 1][j + 1] == best[i][j]):
            pairs.append((wanted[i][0], wanted[i][1], said[j]))
            i, j = i + 1, j + 1
        elif j < len(said) and (i == len(wanted) or best[i][j + 1] == best[i][j]):
            pairs.append((None, None, said[j]))
            j += 1
        else:
            pairs.append((wanted[i][0], wanted[i][1], None))
            i += 1
    return pairs


def described(message: Message) -> str:
    """What was expected, as the test writes it."""
    fields = message.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if list(fields) == ["text"]:
        return quoted(str(fields["text"]))
    return ", ".join(f"{key}: {quoted(value) if isinstance(value, str) else value}" for key, value in fields.items())


def about(spoken: Spoken) -> str:
    """Where a message comes from, and what can be tapped."""
    found = spoken.message
    parts = [
        f"{found.flow}, step {found.step}" if found.flow else "",
        f"choices {_listed(one.id for one in found.content.choices)}" * bool(found.content.choices),
    ]
    return f"[{'; '.join(one for one in parts if one)}]" if any(parts) else ""


def quoted(text: str) -> str:
    return '"' + text.replace("\n", "\\n") + '"'


# --- what holds --------------------------------------------------------------------------------------------------------------------------


Fact = tuple[str, object, object]
"""What is asked, what it must be, what it is."""


def _facts(entry: Keyed, one: Rehearsal, contact: Contact, outcome: Outcome) -> list[Fact]:
    state = one.state
    match entry:
        case Agreed():
            known = {name: state.consents.get(consent_key(name, contact)) for name in entry.consent}
            return [
                (f"consent {name}", wanted, found.state if (found := known[name]) is not None else None) for name, wanted in entry.consent.items()
            ]
        case Tags():
            return [("tags", _listed(sorted(entry.tags)), _listed(sorted(state.tags)))]
        case Profile():
            return [(f"profile.{name}", wanted, state.profile.get(name)) for name, wanted in entry.profile.items()]
        case Speaks():
            return [("language", entry.language, state.language)]
        case Escalated():
            return [("escalated to", entry.escalated, state.conversation.team if state.conversation is not None and state.waiting else None)]
        case Ended():
            return [("flows that wait", "none", _listed(one.waits()))]
        case Waits():
            fits = any(entry.waits in (place, place.partition("/")[0]) for place in one.waits())
            return [("waits at", entry.waits, entry.waits if fits else _listed(one.waits()))]
        case Reached():
            reached = [data.goal for data in outcome.results if isinstance(data, GoalChanged) and data.change == "reached"]
            return [("goal", entry.goal, entry.goal if entry.goal in reached else _listed(reached))]
        case Trouble():
            fits = any(reads_like(entry.trouble, line) for line in outcome.troubles)
            return [("trouble", entry.trouble, entry.trouble if fits else _listed(outcome.troubles))]
        case _:  # what is said was compared before
            return []


def _is(what: str, wanted: object, found: object) -> str:
    return f"{what}: expected {wanted if wanted is not None else 'unknown'}, is {found if found is not None else 'unknown'}"
