"""One event being decided: the state so far, and the results so far in their order. The words that results are made with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from parley.contracts import (
    Channel,
    ConsentChanged,
    ConsentState,
    Content,
    ConversationChanged,
    Data,
    Envelope,
    Location,
    MessageRequested,
    Proof,
    Purpose,
)  # fmt: skip
from parley.wire import caused_id
from parley_router import daytime, merging
from parley_router.catalogue import Book, Shelf
from parley_router.language import spoken
from parley_router.phrases import PHRASES, Phrase
from parley_router.state import ContactState, Conversation
from parley_router.walk import Passed, Said, Scene

SILENCE = timedelta(hours=24)
"""After so long without a word, what is said begins a new conversation."""

COSTLY = (Channel.SMS, Channel.MMS)
"""Channels on which every segment costs: there the short text of a step is said."""
SILENT, SILENT_AFTER = "silent", 5
"""The tag of who never writes, and after how many messages said on our own."""
Notice = Literal["opted_out", "opted_in", "help"]
"""The answers that the law asks for: see `MessageRequested.notice`."""


@dataclass
class Turn:
    """One event being decided. `at` is when it happened: the state depends on that alone, so it is the same whenever it is decided."""

    book: Book
    shelf: Shelf
    event: Envelope
    at: datetime
    now: datetime
    contact: UUID
    state: ContactState
    results: list[Data] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    """What could not be done, in a sentence each: for the log, it is nobody's event."""
    trail: list[Passed] = field(default_factory=list)
    """The steps that were taken, and the ways out of them."""
    unanswered_yet: bool = True
    """Whether the conversation was not told yet that the customer got an answer."""
    agreed: list[tuple[Purpose, ConsentState]] = field(default_factory=list)
    """Consents that changed, but not by a flow: they may begin flows."""

    def scene(self, text: str = "", tapped: str | None = None, location: Location | None = None, entities: Mapping[str, str] | None = None) -> Scene:
        """What a walk starts from now."""
        return Scene(self.book, self.shelf, self.contact, self.state, self.at, self.event.id, text, tapped, location, entities or {})

    def update(self, **changes: object) -> None:
        self.state = self.state.but(**changes)

    def converse(self, **changes: object) -> None:
        """What happens belongs to the conversation that goes on, or opens one; `changes` are made in the same breath."""
        current = self.state.conversation
        if current is not None and (current.waiting or self.at - current.last_at < SILENCE):
            self.update(**changes, conversation=current.but(last_at=max(current.last_at, self.at)))
            return
        number = caused_id(self.event.id, len(self.results))
        self.update(**changes, conversation=Conversation(id=number, opened_at=self.at, last_at=self.at))
        self.changed("opened", at=self.at)

    def changed(
        self,
        change: Literal["opened", "answered", "escalated", "replied", "resolved", "rated", "overdue"],
        *,
        at: datetime | None = None,
        team: str | None = None,
        agent: str | None = None,
        flow: str | None = None,
        score: int | None = None,
    ) -> None:
        """Tells that the conversation, which there is, came a step further: now, or `at`."""
        assert self.state.conversation is not None
        self.results.append(
            ConversationChanged(
                contact_id=self.contact,
                conversation_id=self.state.conversation.id,
                change=change,
                team=team,
                agent=agent,
                flow=flow,
                channel=self.state.channel,
                by="person" if agent is not None else None if change in ("opened", "rated", "overdue") else "bot",
                score=score,
                at=at or self.now,
            )
        )

    def consent(
        self,
        channel: Channel,
        address: str | None,
        purposes: Iterable[Purpose],
        state: ConsentState,
        source: str,
        proof: Proof | None = None,
        at_night: bool = False,
    ) -> bool:
        """Changes consents; whether anything is other than before: a yes that a flow was given once more counts from now on, which law wants every two years.
        Who wants nothing more also ends what was being talked about, and all that waits."""
        purposes, before = tuple(purposes), self.state
        self.state = before.with_consent(channel, purposes, state, self.at)
        confirmed = source == "flow" and state is ConsentState.GRANTED
        if not confirmed and all(self.state.consent(channel, one) is before.consent(channel, one) for one in purposes):
            return False
        for contact in (self.contact, *merging.parts(self.state)):  # what still leaves for a former contact asks for that one's consent
            for one in purposes:
                self.results.append(
                    ConsentChanged(
                        contact_id=contact,
                        channel=channel,
                        address=address,
                        purpose=one,
                        state=state,
                        source=source,
                        proof=proof,
                        at_night=at_night,
                        at=self.at,
                    )
                )
        if source != "flow":
            self.agreed += [(one, state) for one in purposes if self.state.consent(channel, one) is not before.consent(channel, one)]
        if self.state.opted_out(channel):
            self.update(position=None, misses=0, unread=None, offered=None)
        if not any(self.state.reach(one) for one in Purpose):
            self.update(runs=())
        return True

    def request(self, content: Content, purpose: Purpose, said: Said | None = None) -> UUID | None:
        """A message, on the channel of the last message in or another that is known; None where all of them are refused for this purpose.

        What is said on our own at night waits for the morning, unless the flow is urgent.
        """
        state = self.state
        channels = state.reach(purpose, said.over if said is not None else ())
        if not channels:
            return None
        if said is not None and said.short is not None and channels[0] in COSTLY:
            content = content.model_copy(update={"text": said.short})
        account = state.account if channels[0] is state.channel else None
        later = self._morning(said) if purpose is not Purpose.REPLY else None
        number = self._requested(content, purpose, channels, account, {one: state.place(one, purpose) for one in channels}, None, said, later)
        if purpose is not Purpose.REPLY:
            self._unanswered()
        return number

    def _morning(self, said: Said | None) -> datetime | None:
        return None if said is None or said.flow.urgent else daytime.next_daytime(self.scene().local, self.shelf.day)

    def _unanswered(self) -> None:
        """Counts what was said on our own; who never writes is tagged, so that flows can change the channel or stop."""
        count = self.state.unanswered + 1
        silent = count >= SILENT_AFTER and SILENT not in self.state.tags
        self.update(unanswered=count, **({"tags": (*self.state.tags, SILENT)} if silent else {}))

    def notice(self, notice: Notice, channel: Channel, account: str, address: str) -> None:
        """The answer that the law asks for, where the wish came from."""
        self._requested(Content(text=self.words(notice)), Purpose.REPLY, (channel,), account, {channel: address}, notice, None)

    def words(self, name: Phrase) -> str:
        return spoken(PHRASES[name], self.state.language, self.shelf.languages)

    def _requested(
        self,
        content: Content,
        purpose: Purpose,
        channels: tuple[Channel, ...],
        account: str | None,
        addresses: dict[Channel, str],
        notice: Notice | None,
        said: Said | None,
        not_before: datetime | None = None,
    ) -> UUID:
        conversation = self.state.conversation
        going_on = conversation is not None and (conversation.waiting or self.at - conversation.last_at < SILENCE)
        number = caused_id(self.event.id, len(self.results))
        self.results.append(
            MessageRequested(
                contact_id=self.contact,
                message_id=number,
                purpose=purpose,
                channels=channels,
                account=account,
                addresses=addresses,
                content=content,
                notice=notice,
                campaign=said.campaign if said else None,
                variant=said.variant if said else None,
                flow=f"{said.flow.flow}@{said.flow.version}" if said else None,
                step=said.step if said else None,
                conversation_id=conversation.id if conversation is not None and going_on else None,
                not_before=not_before.astimezone(UTC) if not_before else None,
                timezone=zone[:200] if isinstance(zone := self.state.profile.get("timezone"), str) and zone else None,
                priority=said.flow.priority if said else 0,
                fallback_after=int(said.flow.fallback.total_seconds()) if said and said.flow.fallback and len(channels) > 1 else None,
                language=self.state.language,
            )
        )
        return number
