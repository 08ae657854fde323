"""A conversation with the flows in the terminal: typed lines are what the customer writes, commands make the rest happen. Pure but for what it is handed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from parley.contracts import Choice
from parley_router.durations import duration
from parley_router.flow import Flow
from parley_router.state import Wanted
from parley_router.tools.rehearsal import Answer, Endless, Rehearsal, Spoken, Unanswered, asked
from parley_router.tools.wording import of_length

HELP = """\
What you type is what the customer writes. Besides:
  /tap N            taps choice N of the last that were offered, or one by its id
  /wait 2h          time passes: 90s, 15m, 2h, 3d, 1d12h
  /event NAME k=v   another service tells of something, with properties
  /click            follows a link in the last message
  /agent TEXT       a person replies, once one has the conversation; /resolve ends it
  /profile k=v      this is known of the customer
  /state            what is known, and what waits
  /quit"""


class Ended(Exception):
    """There are no more lines."""


@dataclass
class Player:
    """`lines` is what is typed, `tell` shows a line, `read` understands messages (None: it is asked what they mean)."""

    one: Rehearsal
    lines: Iterator[str]
    tell: Callable[[str], None]
    read: Callable[[Wanted, date], Answer] | None = None
    told: int = 0
    choices: tuple[Choice, ...] = field(default=())

    def play(self) -> None:
        """Until there are no more lines, or `/quit`."""
        self.show()
        for line in self.lines:
            text = line.strip()
            if text in ("/quit", "/q"):
                return
            try:
                self._happens(text)
            except Ended:
                return
            except (ValueError, LookupError, Endless) as error:
                self.tell(f"! {error}")
            self.show()

    def begin(self, flow: Flow) -> None:
        """Makes happen what the flow begins by. Raises `ValueError` where nothing that can be played begins it."""
        start, one = flow.start, self.one
        if start.keywords:
            words = start.keywords.get(one.state.language or "") or next(iter(start.keywords.values()))
            self._write(words[0])
        elif start.event or start.segment:
            self._event("segment.entered" if start.segment else str(start.event), {"segment": start.segment} if start.segment else {})
        elif start.welcome or start.fallback:
            self._write("?")
        else:
            raise ValueError(
                f"{flow.flow} begins by nothing that can be made to happen here; play the flow that leads to it, or its intent in words of your own"
            )

    def answer(self, wanted: Wanted) -> Answer | None:
        """What is answered from outside: by the understanding, else by who plays."""
        if wanted.kind == "read" and self.read is not None:
            try:
                found = self.read(wanted, self.one.now.date())
            except Unanswered as error:
                self.tell(f"! {error}")
                self.read = None
            else:
                self.tell(f"  ({_understood(found.body)})")
                return found
        hint = {
            "read": "an intent, or nothing",
            "answer": "the answer, or nothing",
            "http": "JSON, a status such as 404, or nothing for an empty answer",
        }
        self.tell(f"? {asked(wanted)}; {hint[wanted.kind]}:")
        line = next(self.lines, None)
        if line is None:
            raise Ended
        return _typed(wanted.kind, line.strip())

    # --- what is typed ---------------------------------------------------------------------------------------------------------------

    def _happens(self, text: str) -> None:
        if not text.startswith("/") or text.startswith("/start"):
            if text:
                self._write(text)
            return
        command, _, rest = text[1:].partition(" ")
        commands: dict[str, Callable[[str], None]] = {
            "tap": self._tap, "wait": self._wait, "event": self._named, "click": lambda _: self._click(), "agent": lambda said: self.one.agent("reply", said),
            "resolve": lambda _: self.one.agent("resolve"), "profile": self._profile, "state": lambda _: self._state(), "help": lambda _: self.tell(HELP),
        }  # fmt: skip
        if command not in commands:
            raise ValueError(f"there is no /{command}; known: {', '.join(f'/{name}' for name in commands)}, /quit")
        commands[command](rest.strip())

    def _write(self, text: str) -> None:
        self.tell(f"> {text}")
        self.one.writes(text)

    def _tap(self, text: str) -> None:
        found = next((one for place, one in enumerate(self.choices, 1) if text in (str(place), one.id, one.title)), None)
        if found is None:
            raise ValueError(f"no choice {text!r} was offered" + (f": 1 to {len(self.choices)}" if self.choices else ""))
        self.tell(f"> [{found.title}]")
        self.one.writes(choice=found)

    def _wait(self, text: str) -> None:
        self.one.passes(duration(text))

    def _named(self, text: str) -> None:
        name, *pairs = shlex.split(text) or [""]
        if not name or not all("=" in one for one in pairs):
            raise ValueError("an event is written as /event cart.abandoned cart_id=c-1 total=42000")
        self._event(name, {key: _value(value) for key, _, value in (one.partition("=") for one in pairs)})

    def _profile(self, text: str) -> None:
        pairs = [one.partition("=") for one in shlex.split(text)]
        self.one.state = self.one.state.but(profile={**self.one.state.profile, **{key: value for key, _, value in pairs}})

    def _event(self, name: str, properties: dict[str, Any]) -> None:
        self.tell(f"> {name} {' '.join(f'{key}={value}' for key, value in properties.items())}".rstrip())
        self.one.event(name, properties)

    def _click(self) -> None:
        if not self.one.spoken:
            raise ValueError("nothing was said yet, so there is nothing to click")
        self.one.clicks(self.one.spoken[-1].message)

    # --- what is shown ---------------------------------------------------------------------------------------------------------------

    def show(self) -> None:
        """What was said since, and what waits for what."""
        for spoken in self.one.spoken[self.told :]:
            self._show(spoken)
        self.told = len(self.one.spoken)
        for trouble in self.one.troubles:
            self.tell(f"! {trouble}")
        self.one.troubles.clear()
        self.tell(f"  {self.one.now:%Y-%m-%d %H:%M} · {self._waiting()}")

    def _show(self, spoken: Spoken) -> None:
        content, message = spoken.message.content, spoken.message
        where = f"{message.flow}, step {message.step}" if message.flow else "the router"
        about = [f"{spoken.at:%H:%M}", where, *([f"variant {message.variant}"] if message.variant else [])]
        if message.not_before is not None:
            about.append(f"leaves at {message.not_before.astimezone(self.one.now.tzinfo):%Y-%m-%d %H:%M}")
        self.tell(f"{content.text}    ({', '.join(about)})")
        for card in content.cards:
            self.tell("  * " + " · ".join(one for one in (card.title, card.text, card.image, card.url) if one))
        for file in content.media:
            self.tell(f"  * {file.kind} {file.url}")
        if content.choices:
            self.choices = content.choices
            self.tell("  " + "   ".join(f"{place} {one.title}" for place, one in enumerate(content.choices, 1)))

    def _waiting(self) -> str:
        state = self.one.state
        if state.waiting and state.conversation is not None:
            return f"people of {state.conversation.team} have the conversation"
        due = min(state.timers().values(), default=None)
        later = f", in {of_length(due - self.one.now)} at the latest" if due is not None and self.one.waits() else ""
        return f"waits at {', '.join(self.one.waits())}{later}" if self.one.waits() else "no flow waits"

    def _state(self) -> None:
        state = self.one.state
        found = state.model_dump(mode="json", exclude_defaults=True, include={"language", "profile", "tags", "consents", "orders", "channel"})
        slots = {one.flow: one.slots for one in (*([state.position] if state.position else []), *state.runs)}
        found |= {"slots": slots, "timers": [f"{due.astimezone(self.one.now.tzinfo):%Y-%m-%d %H:%M}" for due in sorted(state.timers().values())]}
        for name, value in found.items():
            self.tell(f"  {name}: {json.dumps(value, ensure_ascii=False)}")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _typed(kind: str, text: str) -> Answer:
    if kind == "read":
        return Answer(body={"verdict": "sure", "intents": [text]} if text else {"verdict": "unknown"})
    if kind == "answer":
        return Answer(body={"text": text}) if text else Answer(404, None, "nothing stands in the FAQ")
    value = _value(text) if text else None
    if isinstance(value, int) and 100 <= value <= 599:
        return Answer(value, None, None if 200 <= value < 300 else f"status {value}")
    return Answer(body=value)


def _understood(body: Any) -> str:
    verdict, intents = body.get("verdict"), ", ".join(body.get("intents") or ())
    return f"understood: {'it asks to be left alone' if body.get('leaving') else verdict}{f' {intents}' if intents else ''}"
