"""The twin itself: takes calls, lets customers write, sends receipts, and writes all of it into its ledger."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from uuid import NAMESPACE_URL, uuid5

from parley.twin import behaviour as rules
from parley.twin import plain, twilio, whatsapp
from parley.twin.behaviour import Behaviour, Throttle
from parley.twin.inboxes import Inboxes
from parley.twin.ledger import Heard, Ledger, Receipt, Request, Said, Verdict
from parley.twin.shape import Account, Answer, Call, Message, Option, Provider, Say, Status, TwinError
from parley.twin.webhooks import Delivery, Outbox

PROVIDERS: Mapping[str, Provider] = MappingProxyType({"twilio": twilio, "meta": whatsapp, "plain": plain})
ALL = "*"
"""The name under which a behaviour holds for every account."""


@dataclass(frozen=True)
class TwinOptions:
    """How a twin is started. `deadline`: seconds for which a webhook is tried; `concurrency`: webhooks under way at once; port 0: any free one."""

    ledger: Path
    port: int = 9100
    host: str = "127.0.0.1"
    seed: int = 0
    honour_keys: bool = True
    accounts: Sequence[Account] = ()
    behaviours: Mapping[str, Behaviour] = field(default_factory=dict)
    deadline: float = 300.0
    concurrency: int = 64


@dataclass(frozen=True, slots=True)
class Reply:
    """What the door shall do: after `pause` seconds give the answer, or close the connection where there is none."""

    answer: Answer | None
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A call that passed the checks: when it came, whose it is, what it brings, under which key, and the how-manieth of its message it is."""

    at: float
    account: Account
    message: Message
    key: str | None
    number: int


class Twin:
    """One twin over one ledger. Everything between a call's arrival and its line in the ledger happens at one stroke, so no two calls mix."""

    def __init__(self, options: TwinOptions) -> None:
        """Raises `TwinError` when the ledger cannot be used."""
        self.options, self.url = options, ""
        self.ledger = Ledger(options.ledger)
        self._outbox = Outbox(options.deadline, options.concurrency)
        self._accounts: dict[str, Account] = {}
        self._by_provider: dict[str, list[Account]] = {name: [] for name in PROVIDERS}
        self._behaviours: dict[str, Behaviour] = {}
        self._throttles: dict[str, Throttle] = {}
        self.inboxes = Inboxes(self.ledger.book.inboxes)
        self._settled: dict[tuple[str, str], asyncio.Event] = {}
        self.behave(options.behaviours)

    async def start(self) -> None:
        await self._outbox.start()
        for account in self.options.accounts:
            self.configure(account)

    async def stop(self) -> None:
        """Ends posting; what a customer said and nobody acknowledged goes on when the account is configured again over the same ledger."""
        await self._outbox.stop()
        self.ledger.close()

    # --- what the control API and tests set ---------------------------------------------------------------------------------------

    def configure(self, account: Account) -> None:
        """Adds an account or replaces it, and posts what its customers said before a restart and nobody acknowledged."""
        known = account.name in self._accounts
        self._accounts[account.name] = account
        for name, accounts in self._by_provider.items():
            accounts[:] = [one for one in self._accounts.values() if one.provider == name]
        for said in [] if known else self.ledger.book.unheard(account.name):
            self._bring(account, said)

    def account(self, name: str) -> Account:
        """Raises `TwinError` naming the accounts there are."""
        try:
            return self._accounts[name]
        except KeyError:
            raise TwinError(f"no account {name!r}; there are: {', '.join(sorted(self._accounts)) or 'none yet'}") from None

    @property
    def accounts(self) -> Sequence[Account]:
        return tuple(self._accounts.values())

    def behave(self, behaviours: Mapping[str, Behaviour | None]) -> None:
        """Sets behaviours by account, or for all under `*`; None takes one away. What an account sets goes before what `*` sets."""
        for name, one in behaviours.items():
            self._behaviours.pop(name, None)
            if one is not None:
                self._behaviours[name] = one

    @property
    def behaviours(self) -> Mapping[str, Behaviour]:
        return MappingProxyType(self._behaviours)

    def behaviour(self, account: str) -> Behaviour:
        common, own = self._behaviours.get(ALL), self._behaviours.get(account)
        if common is None or own is None:
            return own or common or Behaviour()
        return common.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})

    # --- calls of ours ----------------------------------------------------------------------------------------------------------

    def take(self, name: str, call: Call, now: float) -> Reply:
        """Judges a call that arrived at `now`, writes it down, and says what to answer."""
        account, found = PROVIDERS[name].read(call, self._by_provider[name], now)
        if isinstance(found, Answer):
            number = self.ledger.book.requests + 1
            self.ledger.add(Request(number, now, account.name if account else None, name, "refused", found.status, reason=found.reason))
            return Reply(found)
        assert account is not None, "a message that passed the checks has an account"
        attempts = self.ledger.book.attempts[account.name, found.reference] if found.reference is not None else 0
        return self._judge(_Attempt(now, account, found, call.headers.get("Idempotency-Key"), attempts + 1))

    def _judge(self, attempt: _Attempt) -> Reply:
        """What becomes of a call that passed the checks."""
        account, behaviour, provider = attempt.account, self.behaviour(attempt.account.name), PROVIDERS[attempt.account.provider]
        subject = attempt.message.reference or f"#{self.ledger.book.requests + 1}"
        fate = rules.fate(behaviour, self.options.seed, account.name, subject, attempt.number)
        if fate.drop:
            self._write(attempt, "failed", None, reason="connection closed before the message was taken")
            return Reply(None)
        if fate.fail:
            return self._answer(attempt, "failed", provider.failed(), fate.latency)
        if (first := self._seen(attempt, behaviour)) is not None:
            if not _same(first, attempt.message):
                return self._answer(attempt, "refused", provider.reused(), fate.latency)
            return self._answer(
                attempt, "replayed", provider.accepted(account, first.message, first.provider_id or ""), fate.latency, first.provider_id
            )
        if wait := self._full(account.name, behaviour, attempt.at):
            return self._answer(attempt, "throttled", provider.throttled(wait, fate.draw), fate.latency)
        return self._accept(attempt, behaviour, fate)

    def _accept(self, attempt: _Attempt, behaviour: Behaviour, fate: rules.Fate) -> Reply:
        provider = PROVIDERS[attempt.account.provider]
        provider_id = provider.message_id(os.urandom(16))
        answer = provider.accepted(attempt.account, attempt.message, provider_id)
        entry = self._write(attempt, "hung" if fate.hang else "accepted", None if fate.hang else answer.status, provider_id)
        self.inboxes.tell(entry)
        self._follow(attempt.account, entry, behaviour)
        return Reply(None, behaviour.hang_ms / 1000) if fate.hang else Reply(answer, fate.latency)

    def _seen(self, attempt: _Attempt, behaviour: Behaviour) -> Request | None:
        """The request that was taken under the same key, where keys are honoured."""
        honour = self.options.honour_keys if behaviour.honour_keys is None else behaviour.honour_keys
        return self.ledger.book.keys.get((attempt.account.name, attempt.key)) if honour and attempt.key is not None else None

    def _answer(self, attempt: _Attempt, verdict: Verdict, answer: Answer, pause: float, provider_id: str | None = None) -> Reply:
        self._write(attempt, verdict, answer.status, provider_id, answer.reason)
        return Reply(answer, pause)

    def _write(
        self, attempt: _Attempt, verdict: Verdict, status: int | None, provider_id: str | None = None, reason: str | None = None
    ) -> Request:  # fmt: skip
        account, message = attempt.account, attempt.message
        entry = Request(
            self.ledger.book.requests + 1, attempt.at, account.name, account.provider, verdict, status, provider_id, message.recipient, message.text,
            message.reference, attempt.key, attempt.number, message.choices, message.layout, message.media, message.segments, message.callback, reason,
        )  # fmt: skip
        self.ledger.add(entry)
        return entry

    def _full(self, account: str, behaviour: Behaviour, now: float) -> float:
        """Seconds to stay away by the account's throttle; 0 when there is room."""
        if behaviour.throttle is None:
            return 0.0
        throttle = self._throttles.get(account)
        if throttle is None or throttle.rate != behaviour.throttle:
            throttle = self._throttles[account] = Throttle(behaviour.throttle)
        return throttle.take(now)

    # --- receipts ---------------------------------------------------------------------------------------------------------------

    def _follow(self, account: Account, entry: Request, behaviour: Behaviour) -> None:
        provider, provider_id = PROVIDERS[account.provider], entry.provider_id or ""
        due = rules.receipts(behaviour, self.options.seed, account.name, entry.reference or f"#{entry.n}", provider.reads(account))
        loop = asyncio.get_running_loop()
        for one in due:
            loop.call_later(one.after, self._report, account, entry, provider_id, one.status, one.copies)

    def _report(self, account: Account, entry: Request, provider_id: str, status: Status, copies: int) -> None:
        provider = PROVIDERS[account.provider]
        post = provider.receipt(account, entry.message, provider_id, status, time.time())
        if post is None:
            return
        for copy in range(copies):
            done = partial(self._reported, account.name, provider_id, entry.reference, status, copy)
            self._outbox.send(provider_id, post, partial(provider.sign, account), done)

    def _reported(self, account: str, provider_id: str, reference: str | None, status: Status, copy: int, end: Delivery) -> None:
        self.ledger.add(Receipt(end.at, account, provider_id, reference, status, end.outcome, end.posts, end.status, copy))

    # --- customers --------------------------------------------------------------------------------------------------------------

    def say(self, say: Say) -> Said:
        """Lets a customer write; the webhook follows. The same `id` again is the same message: posted anew only if it was given up or refused.

        Raises `TwinError` when the account is not known or has no hook.
        """
        account = self.account(say.account)
        provider, book = PROVIDERS[account.provider], self.ledger.book
        if account.hook_url is None:
            raise TwinError(f"account {account.name} has no hook_url: customers' messages have nowhere to go")
        raw = uuid5(NAMESPACE_URL, f"{account.name}/{say.id}").bytes if say.id is not None else os.urandom(16)
        provider_id = provider.message_id(raw)
        if (said := book.said.get((account.name, provider_id))) is not None:
            heard = book.heard.get((account.name, provider_id))
            if heard is not None and heard.outcome != "acknowledged":
                self._bring(account, said)
            return said
        choice = say.choice.model_dump() if say.choice else None
        said = Said(time.time(), account.name, say.sender, provider_id, say.text, choice)
        self.ledger.add(said)
        self._bring(account, said)
        return said

    async def heard(self, said: Said) -> Heard:
        """Waits until what was said is acknowledged, refused or given up."""
        key = (said.account, said.provider_id)
        if (event := self._settled.get(key)) is not None:
            await event.wait()
        return self.ledger.book.heard[key]

    def _bring(self, account: Account, said: Said) -> None:
        key, provider = (account.name, said.provider_id), PROVIDERS[account.provider]
        choice = Option(**said.choice) if said.choice else None
        say = Say(account=account.name, sender=said.sender, text=said.text, choice=choice)
        post = provider.incoming(account, say, said.provider_id, self._layout(say), said.at)
        if post is None or key in self._settled:
            return
        self._settled[key] = asyncio.Event()
        for copy in range(rules.copies(self.behaviour(account.name), self.options.seed, account.name, said.provider_id)):
            self._outbox.send(f"{account.name}/{said.sender}", post, partial(provider.sign, account), partial(self._brought, key, copy))

    def _brought(self, key: tuple[str, str], copy: int, end: Delivery) -> None:
        self.ledger.add(Heard(end.at, *key, end.outcome, end.posts, end.first_at, end.status, copy))
        if copy == 0:
            self._settled.pop(key).set()

    def _layout(self, say: Say) -> str:
        """How the choice that is tapped was last shown to this customer."""
        for entry in reversed(self.inboxes.of(say.sender)):
            if say.choice and any(one["id"] == say.choice.id for one in entry.choices):
                return entry.layout or "button"
            if say.choice and entry.layout == "template" and not entry.choices:
                return "template"
        return "button"

    async def quiet(self) -> None:
        """Returns when no webhook is waiting or under way (receipts that are not yet due do not count)."""
        while not self._outbox.idle:
            await asyncio.sleep(0.01)


def _same(first: Request, message: Message) -> bool:
    """Whether a repeated key brings what it brought at first."""
    return (first.recipient, first.text, tuple(first.choices), tuple(first.media)) == (
        message.recipient, message.text, message.choices, message.media,
    )  # fmt: skip
