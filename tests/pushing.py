"""What the tests of push share: a message to send, keys made for the run, and the rules that hold for all three."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from parley.channels.shape import Outgoing
from parley.contracts import Content

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
OURS = UUID(int=7)


def outgoing(address: str, text: str = "Sale\n\nAll hats half price", at: datetime = NOW, message_id: UUID = OURS, **content: Any) -> Outgoing:
    return Outgoing(message_id, address, Content(text=text, **content), at, token="T")


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def missing(wanted: Any, found: Any, path: str = "") -> Iterator[str]:
    """Where `found` lacks what is wanted; it may have more."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for name, value in wanted.items():
            yield from missing(value, found.get(name), f"{path}/{name}")
    elif wanted != found:
        yield f"{path}: {wanted!r} is wanted, not {found!r}"
