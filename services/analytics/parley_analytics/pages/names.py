"""Channels, purposes and languages as people call them, and which language a browser likes best. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from parley_analytics.pages.words import LANGUAGES, WORDS, Language

CHANNELS: Mapping[str, tuple[str, str]] = MappingProxyType({
    "sms": ("SMS", "문자(SMS)"), "mms": ("MMS", "문자(MMS)"), "rcs": ("RCS", "RCS"), "whatsapp": ("WhatsApp", "왓츠앱"), "messenger": ("Messenger", "메신저"),
    "instagram": ("Instagram", "인스타그램"), "telegram": ("Telegram", "텔레그램"), "line": ("LINE", "라인"), "email": ("E-mail", "이메일"), "push": ("Push", "푸시"),
    "webchat": ("Web chat", "웹 채팅"), "inapp": ("In-app", "인앱"), "voice": ("Voice", "음성"),
})  # fmt: skip
PURPOSES: Mapping[str, tuple[str, str]] = MappingProxyType({
    "marketing": ("Marketing", "마케팅"), "transactional": ("Transactional", "거래 안내"), "reply": ("Reply", "답변"),
})  # fmt: skip
TONGUES: Mapping[str, tuple[str, str]] = MappingProxyType({
    "ko": ("Korean", "한국어"), "en": ("English", "영어"), "ja": ("Japanese", "일본어"), "zh": ("Chinese", "중국어"), "de": ("German", "독일어"),
    "fr": ("French", "프랑스어"), "es": ("Spanish", "스페인어"), "vi": ("Vietnamese", "베트남어"),
})  # fmt: skip
NAMED = MappingProxyType({"channel": CHANNELS, "purpose": PURPOSES, "language": TONGUES})


def named(dimension: str, value: str, language: Language) -> str:
    """The value of a dimension as people call it; what nobody named stands as it is."""
    found = NAMED.get(dimension, {}).get(value)
    return found[LANGUAGES.index(language)] if found else value or WORDS[language]["without_name"]


def preferred(accepted: str) -> Language:
    """The language of a browser's `Accept-Language` that we speak, the first by weight; English where there is none."""
    weighed = []
    for place, part in enumerate(accepted[:200].split(",")):
        name, _, weight = part.strip().partition(";q=")
        try:
            weighed.append((-float(weight or 1), place, name[:2].lower()))
        except ValueError:
            continue
    names = [name for _, _, name in sorted(weighed)]
    return min(LANGUAGES, key=lambda one: names.index(one) if one in names else len(names)) if names else "en"
