"""Webhooks as providers post them, signed by the twin's own hand: SMS, WhatsApp and the shop's app in equal parts, no two alike."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle, islice

from bench.load import request
from bench.traffic import EN, KO, address
from parley.channels.shape import Request
from parley.config import Config
from parley.contracts import Record
from parley.twin import Account, Say
from parley.twin.twin import PROVIDERS
from parley_ingest.taking import taken

WRITTEN_OVER = ("acme-sms", "acme-whatsapp", "acme-app")


@dataclass(frozen=True, slots=True)
class Webhook:
    """One request, and the account that it comes for."""

    account: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    def raw(self) -> bytes:
        """As bytes on the wire."""
        return request(self.url, self.headers, self.body)

    def record(self, config: Config) -> Record:
        """What the edge puts on the bus for it."""
        headers = {name.lower(): text for name, text in self.headers.items()}
        hook = Request("POST", self.url, headers, self.body)
        return taken(hook, config.accounts[self.account], datetime.now(UTC)).record


def webhooks(config: Config, count: int, first: int = 0, people: int | None = None) -> list[Webhook]:
    """`count` webhooks, signed now; `first` sets them apart from those of another call. By so many `people` in turn, else each by somebody else."""
    accounts = cycle([_as_known(config, name) for name in WRITTEN_OVER])
    return list(islice(_written(accounts, first, people), count))


def _written(accounts: Iterator[Account], first: int, people: int | None) -> Iterator[Webhook]:
    said, now = [text.format(n=1001) for text in KO + EN], time.time()
    for number, account in enumerate(accounts, first):
        provider = PROVIDERS[account.provider]
        say = Say.model_validate({"account": account.name, "from": address(number % people if people else number), "text": said[number % len(said)]})
        post = provider.incoming(account, say, provider.message_id(number.to_bytes(16)), "button", now)
        assert post is not None, "every account has a hook"
        headers = {"Content-Type": post.content_type, "User-Agent": "provider", **provider.sign(account, post, now)}
        yield Webhook(account.name, post.url, headers, post.body)


def _as_known(config: Config, name: str) -> Account:
    """An account as its provider knows it."""
    one = config.accounts[name]
    credentials = {key: values[0] for key, values in one.credentials.items()}
    return Account.model_validate(
        {"name": name, "provider": one.provider, "channel": one.channel, "sender": one.sender, "credentials": credentials, "hook_url": one.public_url}
    )
