"""Rates from counts: what each is over, and how sure it is. Pure. `docs/rates.md` says the same to people."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import NamedTuple

Z95 = 1.959963984540054
"""The 0.975 quantile of the standard normal distribution: 95 % of it lies between -Z95 and Z95."""

COUNTS = (
    "sent", "delivered", "opened", "clicked", "replied", "converted", "opted_out", "complained", "bounced", "failed", "unknown", "suppressed", "expired",
    "opened_machine", "clicked_machine", "segments",
    "people_sent", "people_delivered", "people_opened", "people_clicked", "people_replied", "people_converted", "people_opted_out",
)  # fmt: skip
"""The counters, as the columns are named."""

RATES = {
    "delivery": ("delivered", "sent"),
    "open": ("people_opened", "people_delivered"),
    "click": ("people_clicked", "people_delivered"),
    "click_to_open": ("people_clicked", "people_opened"),
    "reply": ("people_replied", "people_delivered"),
    "conversion": ("people_converted", "people_delivered"),
    "opt_out": ("people_opted_out", "people_delivered"),
    "complaint": ("complained", "delivered"),
    "bounce": ("bounced", "sent"),
}
"""Each rate as what is counted over what. Those of people are over people: one who clicks thrice has clicked. Delivery, complaints and bounces are of messages."""
RAW = {f"raw_{name}": (hits.removeprefix("people_"), trials.removeprefix("people_"))
       for name, (hits, trials) in RATES.items() if hits.startswith("people_")}  # fmt: skip
"""The same over messages, as other systems tell them; to be set beside, not to be mixed."""
OPEN_ENDED = frozenset({"click_to_open", "raw_click_to_open"})


class Rate(NamedTuple):
    """A share, and the interval in which 95 of 100 such intervals hold the true one."""

    value: float
    low: float
    high: float


def wilson(hits: int, trials: int, z: float = Z95) -> Rate | None:
    """The share with its Wilson score interval; None when nothing was tried.

    (p + z²/2n ± z·sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n), from E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209-212. Unlike p ± z·sqrt(p(1-p)/n)
    it stays within 0 and 1 and says something also at 0 of n and n of n. Raises ValueError for counts that cannot be.
    """
    if not 0 <= hits <= trials:
        raise ValueError(f"{hits} of {trials} is no share")
    if trials == 0:
        return None
    share, spread = hits / trials, z * z / trials
    whole = 1 + spread
    middle = (share + spread / 2) / whole
    reach = z * sqrt(share * (1 - share) / trials + spread / (4 * trials)) / whole
    # At 0 of n and n of n one end is 0 or 1 exactly, and rounding must not say otherwise.
    return Rate(share, 0.0 if hits == 0 else middle - reach, 1.0 if hits == trials else middle + reach)


ALL = tuple((name, hits, trials, name in OPEN_ENDED) for name, (hits, trials) in (RATES | RAW).items())
"""All rates, with what they are of what."""


def rates(counts: Mapping[str, int]) -> dict[str, Rate | None]:
    """All rates of a row of counters. Who clicks need not be seen to open: where there are more clicks than opens, one over the other is none."""
    return {
        name: None if open_ended and counts[hits] > counts[trials] else wilson(counts[hits], counts[trials]) for name, hits, trials, open_ended in ALL
    }
