"""The words by which a person withdraws or gives consent, or asks who this is; they win over any flow. Pure.

Sources: CTIA Messaging Principles and Best Practices (STOP, END, CANCEL, UNSUBSCRIBE, QUIT; HELP; START), 47 CFR 64.1200(a)(10)
(REVOKE, OPT OUT, STOPALL), and for Korea 정보통신망법 제50조, whose free refusal is announced as 수신거부.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

Wish = Literal["opt_out", "opt_in", "help"]

OPT_OUT = frozenset({
    "stop", "stopall", "stop all", "unsubscribe", "end", "quit", "cancel", "revoke", "optout", "opt out", "opt-out",
    "수신거부", "수신 거부", "무료거부", "광고거부", "거부", "그만", "중단", "해지",
})  # fmt: skip
OPT_IN = frozenset({"start", "unstop", "yes start", "subscribe", "optin", "opt in", "opt-in", "수신동의", "수신 동의", "재수신", "동의"})
HELP = frozenset({"help", "info", "도움말", "도움"})

_EDGES = re.compile(r"^[\s\W_]+|[\s\W_]+$")


def wish(text: str | None) -> Wish | None:
    """The wish that a message is, when it is nothing but such a word: case, width, blanks around and punctuation do not matter.

    "Please stop by tomorrow" is no opt-out: only the whole message counts, as carriers do it. Nor is "/start" an opt-in: with that every chat with
    a bot begins, before anybody was asked for anything.
    """
    if not text or len(text) > 40:
        return None
    plain = " ".join(_EDGES.sub("", unicodedata.normalize("NFKC", text)).casefold().split())
    if plain in OPT_OUT:
        return "opt_out"
    if plain in OPT_IN:
        return "opt_in" if not text.lstrip().startswith("/") else None
    return "help" if plain in HELP else None
