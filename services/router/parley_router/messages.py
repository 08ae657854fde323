"""What a customer's message means: consent first, then people, then the question that was asked, a keyword, a meaning. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import ValidationError

from parley.contracts import Channel, Choice, ConsentState, Content, Frozen, MessageMisunderstood, MessageReceived, Proof, Purpose
from parley.optwords import Wish, wish
from parley.wire import caused_id
from parley_router import engine
from parley_router.applying import apply, hand_over
from parley_router.language import plain, recognised, spoken
from parley_router.phrases import LEAVING, NO, YES
from parley_router.saying import KEPT
from parley_router.state import REFERENCE, Offered, Unread, Wanted
from parley_router.turn import SILENT, Turn
from parley_router.walk import CARE, Scene, Walk

MISSES = 2
"""Messages in a row that nobody understood, after which a person is asked."""
TEXT_KEPT = 200
READ = 1000
"""Characters of a message that are read for their meaning."""
STAY, LEAVE, OTHER = "stay", "leave", "something-else"


def received(turn: Turn, data: MessageReceived) -> None:
    """A customer's message."""
    state = turn.state
    text = (data.text or (data.choice.title if data.choice else "")).replace("\x00", "")
    wanted = wish(text)
    changes: dict[str, object] = {"received": state.received + 1, "language": recognised(text, turn.shelf.languages) or state.language}
    if state.unanswered or SILENT in state.tags:
        changes |= {"unanswered": 0, "tags": tuple(one for one in state.tags if one != SILENT)}
    if state.addresses.get(data.channel) != data.address:
        changes["addresses"] = {**state.addresses, data.channel: data.address}
    if state.replies.get(data.channel) != data.reply_to:
        kept = {one: place for one, place in state.replies.items() if one is not data.channel}
        changes["replies"] = {**kept, data.channel: data.reply_to} if data.reply_to else kept
    if data.reference:
        changes["profile"] = {**state.profile, REFERENCE: data.reference[:TEXT_KEPT].replace("\x00", "")}
    if wanted != "opt_out":
        changes |= {"account": data.account, "channel": data.channel}  # who leaves a channel is not talked to there
    if wanted is not None:
        turn.update(**changes)
        _wish(turn, wanted, data, text)
    elif state.refuses(data.channel, Purpose.REPLY) or data.kind in ("reaction", "system"):
        turn.update(**changes)
    else:
        turn.converse(**changes)
        _answer(turn, data, text)


def _wish(turn: Turn, wanted: Wish, data: MessageReceived, text: str) -> None:
    """STOP, START and HELP come before everything, also before people. A second STOP changes nothing and is not answered."""
    turn.update(leaving=None)
    if wanted == "help":
        turn.notice("help", data.channel, data.account, data.reply_to or data.address)
        return
    state = ConsentState.REVOKED if wanted == "opt_out" else ConsentState.GRANTED
    _changed_by_word(turn, state, data, Proof(said=text[:KEPT]))


def _changed_by_word(turn: Turn, state: ConsentState, data: MessageReceived, proof: Proof) -> None:
    if turn.consent(data.channel, data.address, Purpose, state, "keyword", proof):
        notice = "opted_out" if state is ConsentState.REVOKED else "opted_in"
        turn.notice(notice, data.channel, data.account, data.reply_to or data.address)  # type: ignore[arg-type]


def _answer(turn: Turn, data: MessageReceived, text: str) -> None:
    """The first of these that fits: the answer to whether it opts out; to what was asked; to what was offered; a word that starts a flow; a reply that a
    flow waits for. Else the message is read for its meaning, or nothing more is known of it."""
    tapped = data.choice.id if data.choice else None
    if turn.state.leaving is data.channel and _left(turn, data, text, tapped):
        return
    turn.update(leaving=None)
    if turn.state.waiting:
        return
    scene = turn.scene(text, tapped, data.location)
    if _understood(turn, scene):
        return
    turn.update(offered=None)  # what it could have meant is over: a number that is written later means something else
    if turn.shelf.meanings and text.strip() and tapped is None:
        _to_be_read(turn, text)
    else:
        unknown(turn, scene)


def _understood(turn: Turn, scene: Scene) -> bool:
    """Whether a rule knows what the message means; then it is done with, and whatever is being read is not waited for."""
    walk = engine.replied(scene)
    if walk is None and (intent := _offered(turn, scene)) is not None:
        _taught(turn, intent)
        turn.update(unread=None, offered=None)
        walk = _meant(turn, scene, intent)
        if walk is None and _told(turn, intent):
            return True
    if walk is None and (name := turn.shelf.keywords.get(plain(scene.text[:KEPT]))):
        walk = engine.begin(scene, name)
    for run in reversed(turn.state.runs) if walk is None else ():
        if (walk := engine.reacted(scene, run)) is not None:
            break
    if walk is not None:
        turn.update(unread=None, offered=None)
        apply(turn, walk)
    return walk is not None


# --- whether it opts out ---------------------------------------------------------------------------------------------------------------


def ask_whether_leaving(turn: Turn, channel: Channel) -> None:
    """The message sounds like an opt-out: asks, in one question with two answers. Nothing else is said until then."""
    language = turn.state.language if turn.state.language in LEAVING else next(iter(one for one in turn.shelf.languages if one in LEAVING), "en")
    leave, stay = LEAVING[language or "en"]
    content = Content(text=turn.words("leaving"), choices=(Choice(id=LEAVE, title=leave), Choice(id=STAY, title=stay)))
    if turn.request(content, Purpose.REPLY) is not None:
        turn.update(leaving=channel)


def _left(turn: Turn, data: MessageReceived, text: str, tapped: str | None) -> bool:
    """Whether the message answers that question; then it is done with."""
    word = plain(text)
    if tapped == LEAVE or (
        tapped is None and (word in ("1", *(plain(one[0]) for one in LEAVING.values())) or any(word in words for words in YES.values()))
    ):
        turn.update(leaving=None)
        _changed_by_word(turn, ConsentState.REVOKED, data, Proof(shown=turn.words("leaving"), said=text[:KEPT]))
        return True
    if tapped == STAY or (
        tapped is None and (word in ("2", *(plain(one[1]) for one in LEAVING.values())) or any(word in words for words in NO.values()))
    ):
        turn.update(leaving=None)
        turn.request(Content(text=turn.words("stay")), Purpose.REPLY)
        return True
    return False


# --- what it means ---------------------------------------------------------------------------------------------------------------------


def _to_be_read(turn: Turn, text: str) -> None:
    """Reads the message for its meaning, with those before it that are being read still: people write in pieces."""
    before = turn.state.unread
    whole = f"{before.text}\n{text}"[-READ:] if before is not None else text[:READ]
    token = str(caused_id(turn.event.id, 99_999))
    first = before.first if before is not None else turn.state.received == 1
    turn.update(unread=Unread(token=token, text=whole, first=first, call=Wanted(kind="read", text=whole, language=turn.state.language)))


def meant(turn: Turn, text: str, first: bool, reading: Mapping[str, object] | None) -> None:
    """What comes of a message that was read: the flow or the answer of its meaning, a question which one is meant, or nobody understood."""
    turn.update(unread=None)
    if turn.state.waiting:
        return
    heard = _heard(turn, reading)
    if heard.language in turn.shelf.languages:
        turn.update(language=heard.language)
    if heard.leaving and turn.state.channel is not None:
        ask_whether_leaving(turn, turn.state.channel)
        return
    names = tuple(one for one in heard.intents if one in turn.shelf.meanings)[:3]
    scene = turn.scene(text, entities=heard.entities)
    if heard.verdict == "sure" and names:
        if (walk := _meant(turn, scene, names[0])) is not None:
            apply(turn, walk)
            return
        if _told(turn, names[0]):
            return
    _misunderstood(turn, text, names, None)
    if heard.verdict == "unsure" and names and turn.state.misses + 1 < MISSES and engine.question(scene) is None:
        _which(turn, text, names)
    else:
        unknown(turn, scene, first=first)


class Heard(Frozen):
    """What the understanding says of a message, as far as it is decided upon here."""

    verdict: Literal["sure", "unsure", "unknown"] = "unknown"
    intents: tuple[str, ...] = ()
    leaving: bool = False
    language: str | None = None
    entities: dict[str, str] = {}


def _heard(turn: Turn, reading: Mapping[str, object] | None) -> Heard:
    """The reading; where there is none, or it cannot be read, nothing is known of the message."""
    try:
        return Heard.model_validate(reading or {})
    except ValidationError as error:
        turn.troubles.append(f"a reading cannot be used: {error.errors()[0]['loc']}: {error.errors()[0]['msg']}")
        return Heard()


def _meant(turn: Turn, scene: Scene, intent: str) -> Walk | None:
    """The flow that an intent starts; None where there is none: then the FAQ may have the answer, and says it."""
    flow = turn.shelf.intents.get(intent)
    return engine.begin(scene, flow) if flow is not None else None


def _told(turn: Turn, intent: str) -> bool:
    """Says the answer that the FAQ has; whether it has one."""
    meaning = turn.shelf.meanings.get(intent)
    if meaning is None or meaning.answer is None:
        return False
    if turn.request(Content(text=spoken(meaning.answer, turn.state.language, turn.shelf.languages)), Purpose.REPLY) is not None:
        turn.changed("answered", flow=f"faq/{intent}")
    turn.update(misses=0, offered=None)
    return True


def _which(turn: Turn, text: str, intents: tuple[str, ...]) -> None:
    """Asks which one is meant; the tap answers, and teaches. It counts as not understood: who is not understood then either is not asked for ever."""
    language = turn.state.language
    titles = [(one, spoken(turn.shelf.meanings[one].title, language, turn.shelf.languages)) for one in intents]
    choices = tuple(Choice(id=name, title=title) for name, title in (*titles, (OTHER, turn.words("which_none"))))
    if turn.request(Content(text=turn.words("which"), choices=choices), Purpose.REPLY) is not None:
        turn.changed("answered", flow="faq")
        turn.update(
            offered=Offered(intents=intents, text=text, language=language or turn.shelf.languages[0]), position=None, misses=turn.state.misses + 1
        )


def _offered(turn: Turn, scene: Scene) -> str | None:
    """The intent that was chosen of those that were offered."""
    offered = turn.state.offered
    if offered is None:
        return None
    word = plain(scene.text[:KEPT])
    for place, one in enumerate(offered.intents, 1):
        titles = turn.shelf.meanings[one].title.values() if one in turn.shelf.meanings else ()
        if scene.tapped == one or (scene.tapped is None and word and word in (str(place), *map(plain, titles))):
            return one
    return None


def _taught(turn: Turn, intent: str) -> None:
    offered = turn.state.offered
    assert offered is not None
    _misunderstood(turn, offered.text, offered.intents, intent)


def _misunderstood(turn: Turn, text: str, suggestions: tuple[str, ...], chosen: str | None) -> None:
    language = turn.state.language or turn.shelf.languages[0]
    turn.results.append(
        MessageMisunderstood(contact_id=turn.contact, text=text, language=language, suggestions=suggestions, chosen=chosen, at=turn.at)
    )


def unknown(turn: Turn, scene: Scene, *, first: bool | None = None) -> None:
    """Nothing fitted: asks the question again; or welcomes, says so once, then asks a person."""
    if (walk := engine.missed(scene)) is not None:
        apply(turn, walk)
    elif (turn.state.received == 1 if first is None else first) and turn.shelf.welcome:
        apply(turn, engine.begin(scene, turn.shelf.welcome))
    else:
        _fallback(turn, scene)


def _fallback(turn: Turn, scene: Scene) -> None:
    misses = turn.state.misses + 1
    if misses >= MISSES or turn.shelf.fallback is None:
        hand_over(turn, CARE, turn.shelf.fallback, told=False)
    else:
        apply(turn, engine.begin(scene, turn.shelf.fallback), misses)
