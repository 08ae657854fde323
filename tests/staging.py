"""A contact and a set of flows on a stage: things happen, time passes, services answer; what was said is looked at. Only `decide` is behind it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from parley.contracts import (
    CallReturned,
    Channel,
    Choice,
    ConsentState,
    Customer,
    CustomerActed,
    Data,
    Envelope,
    MessageReceived,
    MessageRequested,
    Purpose,
    TimerFired,
)  # fmt: skip
from parley.teams import Promise
from parley_router import catalogue
from parley_router.catalogue import Book, Meaning
from parley_router.decide import decided
from parley_router.durations import duration
from parley_router.state import Agreement, ContactState, Wanted

CONTACT = UUID(int=7)
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
ADDRESS = "+821012345678"
LANGUAGES = ("ko", "en")
HEAD = "flow: {name}\nversion: 1\ntenant: acme\n"


def book(directory: Path, meanings: dict[str, Meaning] | None = None, teams: dict[str, Promise] | None = None, **flows: str) -> Book:
    """The flows by name, each without the head that all have."""
    directory.mkdir(exist_ok=True)
    for name, text in flows.items():
        own = name.replace("_", "-")
        (directory / f"{own}.yaml").write_text(("" if text.startswith("flow:") else HEAD.format(name=own)) + text, encoding="utf-8")
    return catalogue.load(directory, {"acme": LANGUAGES}, meanings={"acme": meanings or {}}, teams={"acme": teams or {}})


class Stage:
    """One contact, who writes English by SMS and has agreed to everything."""

    def __init__(self, made: Book, state: ContactState | None = None, at: datetime = NOON) -> None:
        agreed = {f"sms:{one}": Agreement(state=ConsentState.GRANTED, at=at) for one in Purpose}
        self.book, self.at, self.count = made, at, 0
        self.state = state or ContactState(
            addresses={Channel.SMS: ADDRESS}, channel=Channel.SMS, account="acme-sms", language="en", received=1, consents=agreed
        )
        self.results: list[Data] = []
        self.troubles: list[str] = []

    def happens(self, data: Data) -> list[Data]:
        """One event, decided; gives the results of it alone."""
        self.count += 1
        event = Envelope(
            id=str(uuid5(CONTACT, str(self.count))), source="test", time=self.at, tenant="acme", subject=str(CONTACT), started_at=self.at, data=data
        )
        found = decided(self.state, event, self.at, self.book)
        again = decided(self.state, event, self.at + timedelta(hours=3), self.book)
        assert found.state == again.state, "the state does not depend on when it is decided"
        # What is stored is what goes on: a state that changed by being written and read would decide otherwise after a restart.
        self.state = ContactState.model_validate_json(found.state.model_dump_json(exclude_defaults=True))
        assert found.state == self.state
        self.troubles += found.troubles
        self.results += found.results
        return list(found.results)

    def says(self, text: str) -> list[str]:
        return texts(self.happens(self._message("text", text=text)))

    def taps(self, choice: str) -> list[str]:
        return texts(self.happens(self._message("choice", choice=Choice(id=choice, title=choice))))

    def event(self, name: str, **properties: Any) -> list[str]:
        data = CustomerActed(contact_id=CONTACT, customer=Customer(id="c"), name=name, properties=properties, occurred_at=self.at)
        return texts(self.happens(data))

    def passes(self, length: str) -> list[str]:
        """Time passes; what is due meanwhile fires, in order, each at its time."""
        end, found = self.at + duration(length), list[str]()
        while due := [(when, token) for token, when in self.state.timers().items() if when <= end]:
            self.at, token = min(due)
            found += self.fires(token)
        self.at = end
        return found

    def fires(self, token: str) -> list[str]:
        return texts(self.happens(TimerFired(contact_id=CONTACT, timer="flow", token=token, due_at=self.at)))

    @property
    def wanted(self) -> list[Wanted]:
        return list(self.state.calls().values())

    def answers(self, body: Any = None, status: int | None = 200, error: str | None = None) -> list[str]:
        """The service that is asked answers."""
        ((token, wanted),) = self.state.calls().items()
        return texts(
            self.happens(CallReturned(contact_id=CONTACT, call=wanted.service or wanted.kind, token=token, status=status, body=body, error=error))
        )

    def of(self, kind: type[Any]) -> list[Any]:
        return [one for one in self.results if isinstance(one, kind)]

    def _message(self, kind: str, **said: Any) -> MessageReceived:
        return MessageReceived.model_validate({
            "contact_id": CONTACT, "message_id": uuid5(CONTACT, f"m{self.count}"), "account": "acme-sms", "channel": "sms", "address": ADDRESS,
            "kind": kind, "received_at": self.at, **said,
        })  # fmt: skip


def texts(results: Sequence[Data]) -> list[str]:
    """What was said, in order."""
    return [one.content.text for one in results if isinstance(one, MessageRequested)]
