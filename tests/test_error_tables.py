"""Every answer and every receipt of every provider that tells of an error, by the tables in `errors/`: what it means, and whom it concerns.

A file has `answers` and `receipts`. Each row stands for every `status` with every code of `codes`, which are put where `$code` is; `class` with
`scope`, `retry_after` (seconds), `drop_address` and `provider_id` is what must come out, and `code`, where it is not the code itself or the status.
"""

import base64
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlencode

import orjson
import pytest
import yaml

from parley.channels import PROVIDERS, google, plain, twilio_words, vonage_sms
from parley.channels.shape import Account, Receipt, Request, Response, Source
from parley.contracts import Channel
from parley.failures import Class
from tests.smsc import written

FOLDER = Path(__file__).parent / "errors"
SENDING = [name for name, provider in PROVIDERS.items() if not isinstance(provider, Source)]
SETS = ("OPTED_OUT", "THROTTLED", "TRANSIENT", "ACCOUNT", "PERMANENT", "RECIPIENT", "DEAD", "FAULTS", "DROPPED")
"""Names of what a module knows of codes, beside dicts whose values are classes."""
OTHER = {("meta", "MEDIA"), ("telegram", "SERVICE"), ("vonage", "NUMBERED")}
"""Sets of a module that are no codes."""
BESIDE = {"twilio": [twilio_words], "vonage": [vonage_sms], "fcm": [google], "rbm": [google], "webchat": [plain]}
"""Modules that a provider's errors are read with."""


@dataclass(frozen=True)
class Case:
    """One answer or one receipt, and what it must mean."""

    provider: str
    kind: str
    row: Mapping[str, Any]
    status: int
    code: Any

    @property
    def name(self) -> str:
        """Where in the table it stands."""
        return f"{self.kind}[{table(self.provider)[self.kind].index(self.row)}] {self.status} {self.code}"

    @property
    def headers(self) -> dict[str, str]:
        return {name.lower(): str(filled(value, self.code)) for name, value in self.row.get("headers", {}).items()}

    @property
    def body(self) -> bytes:
        """The body in the shape that the row names."""
        if "text" in self.row:
            return str(self.row["text"]).encode()
        if "hex" in self.row:
            return bytes.fromhex(self.row["hex"].format(code=self.code))
        if "deliver" in self.row:
            words = filled(self.row["deliver"], self.code).encode()
            return written("deliver_sm", source_addr="447700900123", destination_addr="447700900100", sequence=7, esm_class=4, short_message=words)
        if "form" in self.row:
            return urlencode(filled(self.row["form"], self.code)).encode()
        for name, wrapped in (("sns", _sns), ("pubsub", _pubsub)):
            if name in self.row:
                return orjson.dumps(wrapped(orjson.dumps(filled(self.row[name], self.code)).decode()))
        return orjson.dumps(filled(self.row["body"], self.code))

    @property
    def expected_code(self) -> str | None:
        if "code" in self.row:
            return self.row["code"]
        if self.row.get("class") == "accepted":
            return None
        if self.provider == "smpp" and self.kind == "answers":
            return f"0x{self.code:08X}"
        return None if self.code is None and self.kind == "receipts" else str(self.status if self.code is None else self.code)


def _sns(text: str) -> dict[str, Any]:
    return {"Type": "Notification", "MessageId": "sns", "Message": text}


def _pubsub(text: str) -> dict[str, Any]:
    return {"message": {"data": base64.b64encode(text.encode()).decode(), "messageId": "p"}, "subscription": "s"}


def filled(shape: Any, code: Any) -> Any:
    """The shape with the code where `$code` is; alone, as what it is, else as text."""
    if isinstance(shape, dict):
        return {name: filled(value, code) for name, value in shape.items()}
    if isinstance(shape, list):
        return [filled(value, code) for value in shape]
    return code if shape == "$code" else shape.replace("$code", str(code)) if isinstance(shape, str) else shape


def listed(codes: list[Any]) -> Iterator[Any]:
    for one in codes:
        yield from range(one["from"], one["to"] + 1) if isinstance(one, dict) else [one]


@lru_cache
def table(provider: str) -> dict[str, list[dict[str, Any]]]:
    return yaml.safe_load((FOLDER / f"{provider}.yaml").read_text(encoding="utf-8"))


def cases(provider: str, kind: str) -> Iterator[Case]:
    for row in table(provider).get(kind, []):
        statuses = row.get("status", 0)
        every = itertools.product(statuses if isinstance(statuses, list) else [statuses], listed(row.get("codes", [None])))
        yield from (Case(provider, kind, row, status, code) for status, code in every)


def answered(case: Case) -> tuple[Any, ...]:
    got = PROVIDERS[case.provider].interpret(Response(case.status, case.headers, case.body))
    return got.kind, got.code, got.scope, got.drop_address, got.provider_id, got.retry_after and got.retry_after.total_seconds()


def received(case: Case) -> tuple[Any, ...]:
    account = Account("a", "t", case.provider, Channel.SMS, "+447700900100")
    found = PROVIDERS[case.provider].parse(Request("POST", "https://hooks.example.com/hooks/a", case.headers, case.body), account)
    (receipt,) = [one for one in found if isinstance(one, Receipt)]
    return receipt.status, receipt.failure, receipt.code


@pytest.mark.parametrize("provider", SENDING)
def test_an_answer_means_what_the_table_says(provider):
    """Class, code, whom it concerns, whether the address is dead, the id of what was taken, and how long to wait."""
    expected, got = {}, {}
    for case in cases(provider, "answers"):
        row = case.row
        about = row.get("scope", "message"), row.get("drop_address", False), row.get("provider_id"), row.get("retry_after")
        expected[case.name] = (row["class"], case.expected_code, *about)
        got[case.name] = answered(case)

    assert expected == got


@pytest.mark.parametrize("provider", [one for one in SENDING if "receipts" in table(one)])
def test_a_receipt_means_what_the_table_says(provider):
    """Its status, why it failed, and the code."""
    every = list(cases(provider, "receipts"))
    expected = {one.name: (one.row.get("receipt", "failed"), one.row.get("class"), one.expected_code) for one in every}

    assert expected == {one.name: received(one) for one in every}


def known(provider: str) -> Iterator[str]:
    """Every code that the provider's modules know. Fails at a set whose name nobody here knows."""
    for module in [PROVIDERS[provider], *BESIDE.get(provider, [])]:
        for name, value in vars(module).items():
            if not name.isupper() or name.startswith("_"):
                continue
            by_class = isinstance(value, Mapping) and value and all(_class(one) for one in value.values())
            if name in SETS or by_class:
                yield from map(str, value)
            assert name in SETS or not isinstance(value, frozenset) or (provider, name) in OTHER, f"{provider}.{name}: are these codes? Say so here."


def _class(value: object) -> bool:
    """A class, or a status with one."""
    return (value[1] is None or value[1] in get_args(Class)) if isinstance(value, tuple) and len(value) == 2 else str(value) in get_args(Class)


def tabled(provider: str) -> set[str]:
    every = [one for kind in ("answers", "receipts") for one in cases(provider, kind)]
    return {text for one in every for text in (str(one.status), str(one.code), str(one.code).lower())}


@pytest.mark.parametrize("provider", SENDING)
def test_every_code_that_a_provider_knows_is_in_its_table(provider):
    """A code that is added to a module must say in the table what it means."""
    assert set() == set(known(provider)) - tabled(provider)


def test_every_provider_that_sends_has_a_table():
    """And no table is left behind by one that went."""
    assert sorted(SENDING) == sorted(one.stem for one in FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("provider", SENDING)
def test_every_class_is_met(provider):
    """Accepted, final, for now and too fast are in every table; so is a fault of the account."""
    rows = table(provider)["answers"]

    assert {"accepted", "permanent", "transient", "throttled"} <= {one["class"] for one in rows} and any(
        one.get("scope") == "account" for one in rows
    )
