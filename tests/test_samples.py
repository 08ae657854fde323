"""Every sample of a provider reads as its `reads_as` says. `pytest tests --samples DIR` walks any directory of that form."""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import orjson
import pytest

from parley.channels import PROVIDERS
from parley.channels.shape import Account, Control, Engaged, Forged, Happened, Malformed, Opted, Outgoing, Receipt, Received, Request, Response
from parley.contracts import Channel, ConsentState, Content

FOLDERS = {"standard_webhooks": "plain"}
ELSEWHERE = {"cloudevents"}
"""Walked by a test of their own (`test_cloudevents.py`): they come over Kafka."""
CHANNELS = {
    "telegram": Channel.TELEGRAM, "line": Channel.LINE, "sendbird": Channel.INAPP, "rbm": Channel.RCS,
    "sendgrid": Channel.EMAIL, "ses": Channel.EMAIL, "mailgun": Channel.EMAIL,
    "fcm": Channel.PUSH, "apns": Channel.PUSH, "webpush": Channel.PUSH, "webchat": Channel.WEBCHAT,
}  # fmt: skip
"""The channel of the account that a provider's samples came to, where it is not SMS."""
WORDS = {Channel.INAPP: "sendbird"}
"""Our channels in the words of the samples."""
SENDERS = {"twilio": "+12025550100", "meta": "106540352242922", "sendbird": "agent_001"}


@dataclass(frozen=True)
class Sample:
    """A file of a provider and what is said beside it."""

    provider: str
    name: str
    body: bytes
    about: Mapping[str, Any]

    @property
    def account(self) -> Account:
        secrets = {key: (value,) for key, value in self.about.get("secret", {}).items()}
        channel = CHANNELS.get(self.provider, Channel.SMS)
        return Account("a", "t", self.provider, channel, SENDERS.get(self.provider, "s"), secrets, public_url=self.about.get("url"))

    @property
    def request(self) -> Request:
        headers = {name.lower(): value for name, value in self.about["headers"].items()}
        # Behind a proxy another address arrives (`received_as`); the account's public one is what the provider signed.
        secret = self.about.get("secret", {})
        keys = {secret["cert_url"]: secret["cert_pem"]} if "cert_url" in secret else {}
        return Request(self.about["method"], self.about["url"], headers, self.body, keys)

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.about.get("now", 1_795_426_200), UTC)


def found(root: Path) -> Iterator[Sample]:
    """The samples under `root` that came over HTTP: folders of providers that there are; others are not ours yet."""
    return (one for one in everything(root) if "transport" not in one.about)


def everything(root: Path) -> Iterator[Sample]:
    """All of them; those with a `transport` have a test of their own (`test_channel_smpp.py`)."""
    for about in sorted(root.rglob("*.headers.json")):
        parts = about.relative_to(root).parts
        folders = [root.name, *(one for one in parts[:-1] if one != "send")]  # `root` may itself be a provider's folder
        folder = folders[-1]
        provider = FOLDERS.get(folder, folder)
        if provider in PROVIDERS:
            name = about.name.removesuffix(".headers.json")
            bodies = [one for one in about.parent.glob(f"{name}.*") if one != about and one.suffix in (".json", ".txt")]
            assert len(bodies) == 1, f"{about} has no single body beside it"
            yield Sample(provider, "/".join((*parts[:-1], name)), bodies[0].read_bytes(), orjson.loads(about.read_bytes()))


def pytest_generate_tests(metafunc):
    if "sample" not in metafunc.fixturenames:
        return
    root = Path(metafunc.config.getoption("--samples"))
    wanted = "received" if "received" in metafunc.function.__name__ else "answered"
    samples = [one for one in found(root) if ("http_status" in one.about) == (wanted == "answered")]
    metafunc.parametrize("sample", samples, ids=lambda one: one.name)


def said(item: object) -> dict[str, Any]:
    """An item in the words of `reads_as`."""
    if isinstance(item, Received):
        told: dict[str, Any] = {"kind": "message", "channel": word(item.channel), "conversation": item.conversation,
                "sender": item.address, "text": item.text, "type": item.kind, "provider_id": item.provider_id,
                "payload": item.choice.id if item.choice else None, "media_count": len(item.media), "account": item.recipient,
                "location": {"lat": item.location.lat, "lon": item.location.lon} if item.location else None,
                "occurred_at_ms": milliseconds(item.sent_at)}  # fmt: skip
        if item.kind == "reaction":
            told |= {"kind": "reaction"}
        return told
    if isinstance(item, Receipt):
        return {"kind": "receipt", "channel": word(item.channel), "event_id": item.event_id, "recipient": item.address,
                "provider_id": item.provider_id, "status": item.status,
                "error_code": item.code, "class": item.failure, "watermark_ms": milliseconds(item.watermark), "account": item.recipient,
                "occurred_at_ms": milliseconds(item.at)}  # fmt: skip
    if isinstance(item, Opted):
        kind = "optout" if item.state is ConsentState.REVOKED else "optin"
        return {"kind": kind, "channel": word(item.channel), "sender": item.address, "reason": item.reason,
                "scope": item.purposes[0] if len(item.purposes) == 1 else None,
                "occurred_at_ms": milliseconds(item.at)}  # fmt: skip
    if isinstance(item, Engaged):
        kind = "open" if item.kind == "opened" else "click"
        return {"kind": kind, "channel": word(item.channel), "recipient": item.address, "provider_id": item.provider_id, "url": item.url,
                "machine": item.machine, "event_id": item.event_id, "occurred_at_ms": milliseconds(item.at)}  # fmt: skip
    if isinstance(item, Control):
        return {"kind": "control", "type": item.type}
    assert isinstance(item, Happened)
    if item.type in ("message.edited", "message.deleted") and isinstance(item.data, dict):
        return {"kind": item.type.replace(".", "_"), "event_id": item.event_id, "occurred_at_ms": milliseconds(item.at),
                **item.data, "channel": WORDS.get(item.data.get("channel"), item.data.get("channel"))}  # fmt: skip
    if isinstance(item.data, dict) and "topic" in (told := item.data.get("properties") or {}):
        return shop(item.type, told, item.data.get("customer", {}).get("addresses", {}))
    return {"kind": "event", "type": item.type, "event_id": item.event_id}


def shop(name: str, told: dict[str, Any], addresses: dict[str, str]) -> dict[str, Any]:
    """An event of a shop in the words of `reads_as`."""
    kind = {"order": "order", "cart": "cart"}.get(name.partition(".")[0], "privacy_request")
    return {"kind": kind, "channel": "shop", "topic": told["topic"], "order_id": told.get("shop_order_id"), "total": told.get("total"),
            "currency": told.get("currency"), "checkout_token": told.get("cart_id"), "completed": told.get("completed"),
            "email": addresses.get("email"), "phone": addresses.get("sms")}  # fmt: skip


def word(channel: Channel) -> str:
    return WORDS.get(channel, channel)


def milliseconds(moment: datetime | None) -> int | None:
    return round(moment.timestamp() * 1000) if moment else None


def read(sample: Sample) -> Any:
    """What our code makes of a request: items, a refusal, or the answer to a handshake."""
    provider = PROVIDERS[sample.provider]
    answer = provider.handshake(sample.request, sample.account)
    if answer is not None or sample.about["method"] == "GET":
        answer = answer or Response(404)
        return {"status": answer.status, "body": answer.body.decode()}
    try:
        provider.verify(sample.request, sample.account, sample.now)
        return [said(item) for item in provider.parse(sample.request, sample.account)]
    except Forged:
        return {"reject": 401}
    except Malformed:
        return {"reject": 400}


def test_a_received_request_reads_as_it_should(sample):
    """Signature, items and their order; only the keys that `reads_as` names are compared."""
    expected = sample.about.get("reads_as")
    if expected is None:  # a vector of the signature alone
        assert None is PROVIDERS[sample.provider].verify(sample.request, sample.account, sample.now)
        return
    got = read(sample)
    if isinstance(expected, list):
        assert isinstance(got, list), got
        got = [{key: item.get(key) for key in wanted} for item, wanted in zip(got, expected, strict=False)] + got[len(expected) :]

    assert expected == got


def test_an_answered_send_reads_as_it_should(sample):
    """The class of a provider's answer, and the request that it answers."""
    provider, expected = PROVIDERS[sample.provider], sample.about["reads_as"]
    outcome = provider.interpret(Response(sample.about["http_status"], {k.lower(): v for k, v in sample.about["headers"].items()}, sample.body))
    told = {"class": outcome.kind, "provider_id": outcome.provider_id, "scope": outcome.scope, "drop_address": outcome.drop_address,
            "retry_after_s": outcome.retry_after.total_seconds() if outcome.retry_after else None}  # fmt: skip

    assert expected == {key: told[key] for key in expected}


@pytest.mark.parametrize("provider", ["twilio", "meta"])
def test_a_request_is_built_as_the_provider_wants_it(provider):
    """Method, address and fields of the sample that shows an accepted message."""
    samples = [one for one in found(Path(__file__).parent / "samples") if one.provider == provider and "request" in one.about]
    wanted = samples[0].about["request"]
    fields = wanted.get("form") or wanted["json"]
    to = fields.get("To") or "+" + fields["to"]
    secrets = {"account_sid": ("AC0123456789abcdef0123456789abcdef",), "auth_token": ("t",), "access_token": ("token",)}
    account = Account("a", "t", provider, Channel.SMS, SENDERS[provider], secrets)
    message = Outgoing(UUID(int=1), to, Content(text="hi"), datetime(2026, 11, 24, tzinfo=UTC), wanted.get("form", {}).get("StatusCallback"))
    (built,) = PROVIDERS[provider].build(message, account)
    sent = {k: v[0] for k, v in parse_qs(built.body.decode()).items()} if "form" in wanted else orjson.loads(built.body)
    if "StatusCallback" in fields:
        fields = {**fields, "StatusCallback": f"{fields['StatusCallback']}?m={UUID(int=1)}"}

    assert (wanted["method"], wanted["url"], fields) == (built.method, built.url, {key: sent[key] for key in fields})


def test_every_provider_has_samples():
    """A channel without samples is not done."""
    assert set(PROVIDERS) == {one.provider for one in everything(Path(__file__).parent / "samples")}


def test_no_folder_of_a_provider_is_empty(pytestconfig):
    """In the directory walked; a folder of a provider that Parley does not speak is left out, and named by a warning."""
    root = Path(pytestconfig.getoption("--samples"))
    folders = [one for one in sorted(root.iterdir()) if one.is_dir() and one.name != "send"]
    strange = [one.name for one in folders if FOLDERS.get(one.name, one.name) not in PROVIDERS and one.name not in ELSEWHERE]
    if strange:
        warnings.warn(f"samples of providers that Parley does not speak yet: {', '.join(strange)}", stacklevel=1)
    empty = [one.name for one in folders if one.name not in strange and not any(one.rglob("*.headers.json"))]

    assert not empty, f"folders without a sample: {', '.join(empty)}"


def test_there_is_something_to_walk(pytestconfig):
    """A directory without any sample of ours proves nothing."""
    assert any(everything(Path(pytestconfig.getoption("--samples"))))
