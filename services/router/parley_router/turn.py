"""One event being decided: the state so far, and the results so far in their order. The words that results are made with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from parley.contracts import Channel, ConsentChanged, ConsentState, Content, ConversationChanged, Data, Envelope, MessageRequested, Purpose
from parley.wire import caused_id
from parley_router import merging
from parley_router.catalogue import Book, Shelf
from parley_router.engine import Said
from parley_router.language import spoken
from parley_router.state import ContactState, Conversation

SILENCE = timedelta(hours=24)
"""After so long without a word, what is said begins a new conversation."""

Notice = Literal["opted_out", "opted_in", "help"]
NOTICES: dict[Notice | Literal["handed_over"], dict[str, str]] = {
    "opted_out": {
        "ko": "수신거부 처리되었습니다. 더 이상 메시지를 보내지 않습니다. 다시 받으시려면 '수신동의'를 보내 주세요.",
        "en": "You are unsubscribed and will receive no more messages. Reply START to receive them again.",
    },
    "opted_in": {
        "ko": "수신동의 처리되었습니다. 언제든지 '수신거부'를 보내 중단하실 수 있습니다.",
        "en": "You are subscribed again. Reply STOP at any time to unsubscribe.",
    },
    "help": {
        "ko": "자동으로 응답하는 서비스입니다. 상담원 연결은 '상담원', 수신거부는 '수신거부'를 보내 주세요.",
        "en": "This is an automated service. Reply AGENT to talk to a person, STOP to unsubscribe.",
    },
    "handed_over": {
        "ko": "상담원에게 연결해 드릴게요. 잠시만 기다려 주세요.",
        "en": "I am handing you over to a person. One moment, please.",
    },
}
"""What the router says without a flow: the answers that the law asks for (see `MessageRequested.notice`), and that a person takes over."""


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
        change: Literal["opened", "answered", "escalated", "replied", "resolved"],
        *,
        at: datetime | None = None,
        team: str | None = None,
        agent: str | None = None,
        flow: str | None = None,
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
                at=at or self.now,
            )
        )

    def consent(self, channel: Channel, address: str | None, purposes: Iterable[Purpose], state: ConsentState, source: str) -> bool:
        """Changes consents; whether anything is other than before. Who wants nothing more also ends what was being talked about."""
        purposes, before = tuple(purposes), self.state
        self.state = before.with_consent(channel, purposes, state, self.at)
        if all(self.state.consent(channel, one) is before.consent(channel, one) for one in purposes):
            return False
        for contact in (self.contact, *merging.parts(self.state)):  # what still leaves for a former contact asks for that one's consent
            for one in purposes:
                self.results.append(
                    ConsentChanged(contact_id=contact, channel=channel, address=address, purpose=one, state=state, source=source, at=self.at)
                )
        if self.state.opted_out(channel):
            self.update(position=None, misses=0)
        return True

    def request(self, content: Content, purpose: Purpose, said: Said | None = None) -> bool:
        """A message, on the channel of the last message in or another that is known; False where all of them are refused for this purpose."""
        state = self.state
        channels = state.reach(purpose)
        if not channels:
            return False
        account = state.account if channels[0] is state.channel else None
        self._requested(content, purpose, channels, account, {one: state.place(one, purpose) for one in channels}, None, said)
        return True

    def notice(self, notice: Notice, channel: Channel, account: str, address: str) -> None:
        """The answer that the law asks for, where the wish came from."""
        self._requested(Content(text=self.words(notice)), Purpose.REPLY, (channel,), account, {channel: address}, notice, None)

    def words(self, name: Notice | Literal["handed_over"]) -> str:
        return spoken(NOTICES[name], self.state.language, self.shelf.languages)

    def _requested(
        self,
        content: Content,
        purpose: Purpose,
        channels: tuple[Channel, ...],
        account: str | None,
        addresses: dict[Channel, str],
        notice: Notice | None,
        said: Said | None,
    ) -> None:
        conversation = self.state.conversation
        going_on = conversation is not None and (conversation.waiting or self.at - conversation.last_at < SILENCE)
        self.results.append(
            MessageRequested(
                contact_id=self.contact,
                message_id=caused_id(self.event.id, len(self.results)),
                purpose=purpose,
                channels=channels,
                account=account,
                addresses=addresses,
                content=content,
                notice=notice,
                campaign=said.flow.campaign if said else None,
                variant=said.variant if said else None,
                flow=f"{said.flow.flow}@{said.flow.version}" if said else None,
                step=said.step if said else None,
                conversation_id=conversation.id if conversation is not None and going_on else None,
            )
        )
