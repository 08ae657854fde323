"""What the router says without a flow, and the words it knows without one, by language. Every language of a tenant that is missing here falls back to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Phrase = Literal["opted_out", "opted_in", "help", "handed_over", "left", "leaving", "stay", "which", "which_none"]

PHRASES: Mapping[Phrase, Mapping[str, str]] = {
    "opted_out": {
        "ko": "수신거부 처리되었습니다. 더 이상 메시지를 보내지 않습니다. 다시 받으시려면 '수신동의'를 보내 주세요.",
        "en": "You are unsubscribed and will receive no more messages. Reply START to receive them again.",
    },
    "opted_in": {
        "ko": "수신동의 처리되었습니다. 언제든지 '수신거부'를 보내 중단하실 수 있습니다.",
        "en": "You are subscribed again. Reply STOP at any time to unsubscribe.",
    },
    "help": {
        "ko": "자동으로 응답하는 서비스입니다. 상담원 연결은 '상담원', 수신거부는 '수신거부'를 보내 주세요.",
        "en": "This is an automated service. Reply AGENT to talk to a person, STOP to unsubscribe.",
    },
    "handed_over": {
        "ko": "상담원에게 연결해 드릴게요. 잠시만 기다려 주세요.",
        "en": "I am handing you over to a person. One moment, please.",
    },
    "left": {
        "ko": "알겠습니다. 여기까지 할게요. 필요하시면 언제든지 말씀해 주세요.",
        "en": "All right, we leave it there. Write at any time if you need something.",
    },
    "leaving": {
        "ko": "앞으로 저희 메시지를 받지 않으시겠어요?",
        "en": "Do you want to stop receiving messages from us?",
    },
    "stay": {
        "ko": "알겠습니다. 계속 보내 드릴게요. 언제든지 '수신거부'라고 보내시면 됩니다.",
        "en": "All right, nothing changes. You can write STOP at any time.",
    },
    "which": {
        "ko": "어떤 것을 도와드릴까요?",
        "en": "Which of these do you mean?",
    },
    "which_none": {
        "ko": "다른 문의",
        "en": "Something else",
    },
}

YES: Mapping[str, frozenset[str]] = {
    "ko": frozenset({"네", "예", "응", "ㅇㅇ", "넵", "넹", "네 그만", "네 맞아요", "맞아요", "그만 받을게요", "네 그만 받을게요"}),
    "en": frozenset({"yes", "y", "yep", "yeah", "yes please", "yes, stop", "yes stop", "please"}),
}
NO: Mapping[str, frozenset[str]] = {
    "ko": frozenset({"아니요", "아니오", "아뇨", "아니", "ㄴㄴ", "계속 받을게요"}),
    "en": frozenset({"no", "n", "nope", "no thanks", "keep them"}),
}
LEAVING: Mapping[str, tuple[str, str]] = {"ko": ("네, 그만 받을게요", "아니요"), "en": ("Yes, stop", "No")}
"""The two choices when it is not sure whether somebody opts out: to leave, to stay."""

ESCAPE: Mapping[str, frozenset[str]] = {
    "ko": frozenset(
        {"나가기", "나갈래", "나갈래요", "처음으로 돌아가기", "그만할래", "그만할래요", "됐어요", "됐어", "안 할래요", "안할래요", "다음에 할게요"}
    ),
    "en": frozenset({"exit", "leave", "back out", "never mind", "nevermind", "forget it", "skip this", "not now", "no more questions"}),
}
"""Words that leave a question of any flow, beside those that the flow itself names."""
