"""What a User-Agent says of itself: a kept list of robots (`crawler-user-agents`), and our own of those that look into mail. Pure.

Only who says so himself is named here; a robot that calls itself a browser is found by what it does (`judge`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from crawleruseragents import is_crawler

Kind = Literal["proxy", "privacy", "machine", "none", "other"]

LONGEST = 500
"""Characters of an agent that are looked at, and kept."""
PROXIES = re.compile(r"GoogleImageProxy|YahooMailProxy|YahooCacheSystem|ggpht\.com", re.IGNORECASE)
"""They fetch pictures for a mailbox, whoever looks at it and whether anybody does (support.google.com/mail/answer/145919)."""
PRIVACY = re.compile(r"Mozilla/[45]\.0")
"""All that Apple's Mail Privacy Protection says of itself; no browser stops there."""
SCANNERS = re.compile(
    # In front of mailboxes, by vendor: Proofpoint, Mimecast, Barracuda, Microsoft (Safe Links, the previews of Office), Cisco, Symantec, Trend Micro,
    # Sophos, Fortinet, Trellix, Forcepoint, Check Point, Zscaler, Cloudflare Area 1, urlscan, VirusTotal.
    r"proofpoint|urldefense|mimecast|barracuda|safelinks|office protocol discovery|ms-office|ironport|cisco.?(email|secure)|symantec|messagelabs"
    r"|trend ?micro|tmase|sophos|fortimail|fortiguard|fireeye|trellix|forcepoint|websense|checkpoint|check point|zscaler|area1|urlscan|virustotal"
    # Messengers' previews that the list does not have, and what programs call themselves.
    r"|kakaotalk-scrap|linespider|preview|crawl|spider|slurp|\bscan|bot\b|headless|^java/|^ruby|^perl|^php|guzzle|^apache-httpclient|^dart/|libcurl|^node",
    re.IGNORECASE,
)


@lru_cache(maxsize=4096)
def kind(agent: str) -> Kind:
    """What the agent says that it is; `none` where it says nothing, `other` where that names no machine."""
    if not agent.strip():
        return "none"
    if PROXIES.search(agent):
        return "proxy"
    if PRIVACY.fullmatch(agent.strip()):
        return "privacy"
    return "machine" if SCANNERS.search(agent) or is_crawler(agent) else "other"
