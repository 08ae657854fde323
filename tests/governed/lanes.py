"""The lanes of a governed run: accounts of three providers with rates of every kind, and the configuration that says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from parley.config import per, per_second

TENANT, CAPPED = "acme", "capped"
POOL, POOL_RATE = "pool", "15/s"
CHANNELS = {"twilio": "sms", "meta": "whatsapp", "plain": "inapp"}
CREDENTIALS: Mapping[str, tuple[str, ...]] = {
    "twilio": ("account_sid", "auth_token"), "meta": ("app_secret", "access_token", "verify_token"), "plain": ("symmetric",),
}  # fmt: skip
RETRIES = ["1s", "2s", "4s", "8s", "8s"]
"""Short ones: everything shall come to rest while somebody waits."""
DAY_CAP, WEEK_CAP = 3, 5
"""Messages to one person of the tenant whose campaigns run side by side."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One account. `honours`: whether the provider knows a repeated key. `moody`: it answers 429 now and then though the rate is kept."""

    name: str
    provider: str
    rate: str
    honours: bool = True
    shares: int = 1
    limit: str | None = None
    moody: bool = False
    tenant: str = TENANT

    @property
    def channel(self) -> str:
        return CHANNELS[self.provider]

    @property
    def speed(self) -> float:
        """Units a second."""
        return per_second(self.rate)

    @property
    def window(self) -> float:
        """Seconds over which its provider counts."""
        return per(self.rate)

    @property
    def parts(self) -> tuple[str, ...]:
        return (self.name,) if self.shares == 1 else tuple(f"{self.name}#{number}" for number in range(self.shares))


LANES: tuple[Lane, ...] = (
    Lane("sms-slow", "twilio", "3/s"),
    Lane("sms-long", "twilio", "10/s", honours=False),
    Lane("sms-fast", "twilio", "60/s"),
    Lane("whatsapp", "meta", "20/s"),
    Lane("app-keyless", "plain", "30/s", honours=False),
    Lane("app-minute", "plain", "120/min"),
    Lane("pool-a", "twilio", "10/s", limit=POOL),
    Lane("pool-b", "twilio", "10/s", limit=POOL),
    Lane("app-shares", "plain", "40/s", shares=2),
    Lane("app-moody", "plain", "25/s", moody=True),
)
CAMPAIGN_LANES: tuple[Lane, ...] = tuple(Lane(f"capped-{name}", name, "200/s", tenant=CAPPED) for name in ("twilio", "meta", "plain"))
"""Where twenty campaigns of the other tenant meet."""


def write(folder: Path, lanes: Sequence[Lane]) -> Path:
    """The configuration with these lanes."""
    folder.mkdir(parents=True, exist_ok=True)
    tenants = sorted({one.tenant for one in lanes})
    document: dict[str, Any] = {
        "tenants": {name: {"timezone": "Asia/Singapore", "languages": ["en"]} for name in tenants},
        "accounts": {one.name: _account(place, one) for place, one in enumerate(lanes)},
    }
    if any(one.limit for one in lanes):
        document["limits"] = {POOL: {"rate": POOL_RATE}}
    policies = {name: {"retries": dict.fromkeys(("reply", "transactional", "marketing"), RETRIES)} for name in tenants}
    if CAPPED in policies:
        policies[CAPPED]["caps"] = [  # type: ignore[assignment]
            {"purpose": "marketing", "per": "day", "most": DAY_CAP}, {"purpose": "marketing", "per": "week", "most": WEEK_CAP},
        ]  # fmt: skip
    (folder / "accounts.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    (folder / "policies.yaml").write_text(yaml.safe_dump({"tenants": policies}, sort_keys=False), encoding="utf-8")
    return folder


def _account(place: int, lane: Lane) -> dict[str, Any]:
    name = lane.name.upper().replace("-", "_")
    sender = {"twilio": f"+1500555{place:04d}", "meta": f"10654035224{place:04d}", "plain": lane.name}[lane.provider]
    optional = {"limits": [lane.limit]} if lane.limit else {}
    return {
        "tenant": lane.tenant, "provider": lane.provider, "channel": lane.channel, "sender": sender, "rate": lane.rate, "shares": lane.shares,
        "window": "none", "honours_keys": lane.honours, "credentials": {key: f"env:{name}_{key.upper()}" for key in CREDENTIALS[lane.provider]},
        **optional,
    }  # fmt: skip
