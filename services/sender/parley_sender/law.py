"""What holds for a message where its recipient is: tenant's policy, packs and account put together for the gate. Pure, but for reading the files once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from parley import approved, policies
from parley.approved import Approved
from parley.channels.shape import Account
from parley.config import Config
from parley.contracts import Channel, Purpose, Template
from parley.policies import Policies, Policy
from parley.settings import Settings
from parley_sender import hours, packs, rulings, whereabouts
from parley_sender.gate import LEAVE, Candidate, Rules
from parley_sender.packs import Packs
from parley_sender.rulings import Ruling
from parley_sender.whereabouts import Whereabouts

log = structlog.get_logger()

UTC = ZoneInfo("UTC")


@dataclass(frozen=True)
class Law:
    """The policies of all tenants, the packs of all countries, and the templates that providers have approved."""

    config: Config
    policies: Policies
    packs: Packs
    templates: Approved = field(default_factory=dict)

    @classmethod
    def load(cls, config: Config, settings: Settings) -> Law:
        """Raises `ConfigError` for a broken policies.yaml or templates.yaml."""
        found = packs.load()
        policy = policies.load(settings.config, config.tenants, found.all)
        whereabouts.of("+12125550100", Channel.SMS, None, UTC, None)  # reads its tables now, not before the first message
        if settings.packs == "off":
            log.warning("PARLEY_PACKS=off: nobody's night is kept, nothing is marked; only for demos and load tests")
        return cls(config, policy, found if settings.packs == "on" else Packs({}), approved.load(settings.config, config.accounts))

    def policy(self, tenant: str) -> Policy:
        return self.policies.of(tenant)

    def where(self, tenant: str, channel: Channel, address: str, timezone: str | None) -> Whereabouts:
        """Where the recipient is, as far as that is known."""
        own = self.config.tenants.get(tenant)
        return whereabouts.of(address, channel, timezone, own.timezone if own else UTC, self.policy(tenant).country)

    def ruling(self, tenant: str, purpose: Purpose, channel: Channel, where: Whereabouts) -> Ruling:
        return rulings.ruling(self.policy(tenant), self.packs, where, purpose, channel)

    def fault(self, template: Template | None, account: Account) -> str | None:
        """Why the provider of an account would refuse a template, as a sentence; None where it would not, as far as that is known."""
        return approved.check(template, account, self.templates)

    def of(self, message: Candidate, account: Account, now: datetime) -> tuple[Rules, Ruling]:
        """The rules for a message at `now`."""
        where = self.where(message.tenant, message.channel, message.address, message.timezone)
        ruling = self.ruling(message.tenant, message.purpose, message.channel, where)
        at_night = message.consent is not None and message.consent.at_night
        opens = None
        if ruling.hours:  # open now, and as long as it may still leave
            opens = hours.opens(ruling.hours, where, now, at_night) or hours.opens(ruling.hours, where, now + LEAVE, at_night)
        return Rules(ruling.needs_consent, ruling.consent_lives, opens, account.window), ruling


def found(message: Candidate, ruling: Ruling, slots: int | None) -> Mapping[str, Any]:
    """What stood at the gate, for the message's story: no address, no text."""
    consent = message.consent
    return {
        "consent": {"state": consent.state, "at": consent.at.isoformat()} if consent else None,
        "rules": [rule.name for rule in ruling.rules],
        **({"caps": {"used": slots, "of": [f"{one.most} in {one.window}" for one in ruling.caps]}} if slots is not None else {}),
        **({"window": message.wrote_at.isoformat()} if message.wrote_at else {}),
    }
