"""What the tests of the three e-mail providers share: an account with the credentials of all, samples, and the door with its refusals."""

from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl, unquote
from uuid import UUID

import orjson
from hypothesis import strategies as st

from parley.channels.shape import Account, Forged, HttpRequest, Malformed, Outgoing, Request, Response, Unkeyed
from parley.contracts import Channel, Content

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
OURS = UUID(int=7)
CREDENTIALS = {"api_key": ("k",), "access_key_id": ("AK",), "secret_access_key": ("s",), "region": ("eu-west-1",)}
ACCOUNT = Account("a", "t", "any", Channel.EMAIL, "Acme Tea <hello@acme.example>", CREDENTIALS, honours_keys=True)
ROOT = Path(__file__).parent / "samples"
json_values = st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8),
                           lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=8)  # fmt: skip


def entered(provider: Any, request: Request, account: Account, now: datetime = NOW) -> bool:
    """Whether the door lets the request in."""
    try:
        provider.verify(request, account, now)
    except (Forged, Unkeyed):
        return False
    return True


def survives(provider: Any, request: Request, account: Account, status: int = 400) -> bool:
    """Whether nothing but the refusals that are named leaves the door, and whether an answer of these bytes means something."""
    for step in (lambda: provider.verify(request, account, NOW), lambda: provider.parse(request, account)):
        try:
            step()
        except (Forged, Malformed, Unkeyed):
            continue
    return bool(provider.interpret(Response(status, dict(request.headers), request.body)).kind != "unknown")


def shown(provider: ModuleType) -> tuple[dict[str, Any], dict[str, Any]]:
    """The request of the provider's sample of an accepted message, and the one that we build for the same words: method, address and fields."""
    name = provider.__name__.rpartition(".")[2]
    wanted = orjson.loads((ROOT / name / "send" / "accepted.headers.json").read_bytes())["request"]
    fields = wanted.get("form") or wanted["json"]
    sender = fields.get("from") or fields.get("FromEmailAddress")
    credentials = {**CREDENTIALS, "region": ("<region>",), "configuration_set": ("cs",), "domain": ("<domain>",)}
    account = Account("a", "t", name, Channel.EMAIL, sender["email"] if isinstance(sender, dict) else sender, credentials)
    (built,) = provider.build(Outgoing(OURS, "customer@example.com", Content(text="s\n\nhi"), NOW), account)
    return wanted, {"method": built.method, "url": unquote(built.url), "fields": _fields(built)}


def _fields(request: HttpRequest) -> dict[str, Any]:
    text = request.body.decode().replace(str(OURS), "our-1")
    return orjson.loads(text) if text.startswith("{") else dict(parse_qsl(text))
