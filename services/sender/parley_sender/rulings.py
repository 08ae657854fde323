"""What law and tenant together ask of a message: of everything the stricter. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache

from parley.contracts import Channel, Purpose
from parley.policies import Cap, Policy
from parley_sender.hours import Hours, own
from parley_sender.packs import Packs, Rule
from parley_sender.whereabouts import Whereabouts


@dataclass(frozen=True, slots=True)
class Ruling:
    """What holds for messages of one purpose on one channel to people in one place.

    `rules` are those of the packs that have a say. It may leave in `hours` alone (all of them). With `needs_consent` a yes is needed, which is to be
    confirmed when it is older than `consent_lives`. `caps` are the tenant's and the law's. The rest is wording: it has to begin with `begins`, name the
    sender (`name`), and tell the way out: in one of the words of `opt_out`, else by the tenant's line in `opt_out_lines`, by language.
    """

    rules: tuple[Rule, ...] = ()
    hours: tuple[Hours, ...] = ()
    needs_consent: bool = False
    consent_lives: timedelta | None = None
    caps: tuple[Cap, ...] = ()
    begins: str | None = None
    name: str | None = None
    opt_out: tuple[str, ...] = ()
    opt_out_lines: Mapping[str, str] = field(default_factory=dict)
    marked_templates: frozenset[str] = frozenset()


@lru_cache(maxsize=10_000)
def ruling(policy: Policy, packs: Packs, whereabouts: Whereabouts, purpose: Purpose, channel: Channel) -> Ruling:
    """The ruling, the same one each time it is asked for."""
    rules = tuple(
        rule for pack in packs.about(whereabouts, policy.packs or ()) for rule in pack.rules if purpose in rule.purposes and channel in rule.channels
    )
    quiet = policy.quiet.get(purpose)
    lives = [rule.lives for rule in rules if rule.lives is not None]
    return Ruling(
        rules=rules,
        hours=(*(rule.hours for rule in rules if rule.hours is not None), *((own(quiet),) if quiet is not None else ())),
        needs_consent=purpose is Purpose.MARKETING or any(rule.consent for rule in rules),
        consent_lives=min(lives, default=None),
        caps=(*(cap for cap in policy.caps if cap.purpose is purpose), *(Cap(purpose, *rule.cap) for rule in rules if rule.cap is not None)),
        begins=next((rule.begins for rule in rules if rule.begins is not None), None),
        name=(policy.name or policy.tenant) if any(rule.names_sender for rule in rules) else None,
        opt_out=tuple(dict.fromkeys(word for rule in rules for word in rule.opt_out)),
        opt_out_lines=policy.opt_out,
        marked_templates=policy.marked_templates,
    )
