"""The sentences of a message's story, in English and Korean: why it is where it is, and what happened, moment by moment. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

LANGUAGES = ("en", "ko")
Words = Mapping[str, Mapping[str, str]]

REASONS: Words = MappingProxyType({
    "en": {
        "opted_out": "the contact wants no messages of this kind here",
        "no_consent": "there is no consent to messages of this kind on this channel",
        "consent_not_confirmed": "the consent is older than law lets it be without being confirmed",
        "capped": "a frequency cap is reached: {more}",
        "quiet_hours": "it is quiet hours where the recipient is",
        "window_closed": "the provider takes free text only for a while after the customer wrote",
        "settling": "the consent that it was asked for with may still be on its way",
        "priority": "a message of higher priority takes the slot under the frequency cap",
        "recipient_pace": "this recipient is written to no faster",
        "expired": "its time was over",
        "no_route": "there is no account and address over which the contact could be reached",
        "unbuildable": "the channel does not take it like this: {more}",
        "address_gone": "the provider says that the address is gone",
        "bounced": "mail to this address came back for good",
        "complained": "the recipient called a message spam",
        "asked": "the address is on the list of those that nothing goes to",
        "cancelled": "it was called back",
        "erased": "the contact asked to be forgotten",
        "interrupted": "the process ended during the call",
        "no_answer": "the call got no answer",
        "fault": "a fault of Parley itself, which the log tells of",
        "settled": "a person decided so",
        "provider": "the provider says {more}",
        "": "{more}",
    },
    "ko": {
        "opted_out": "고객이 이 채널에서 이런 메시지를 받지 않겠다고 했습니다",
        "no_consent": "이 채널에서 이런 메시지에 대한 수신 동의가 없습니다",
        "consent_not_confirmed": "수신 동의를 법정 기간 안에 다시 확인하지 않았습니다",
        "capped": "발송 빈도 한도에 닿았습니다: {more}",
        "quiet_hours": "받는 사람이 있는 곳은 발송 제한 시간입니다",
        "window_closed": "고객이 글을 보낸 뒤 일정 시간 동안만 자유로운 글을 보낼 수 있습니다",
        "settling": "함께 온 수신 동의가 아직 도착하지 않았을 수 있습니다",
        "priority": "우선순위가 더 높은 메시지가 한도의 자리를 씁니다",
        "recipient_pace": "이 사람에게는 더 빨리 보내지 않습니다",
        "expired": "유효 시간이 지났습니다",
        "no_route": "고객에게 닿을 계정과 주소가 없습니다",
        "unbuildable": "채널이 이 형태로는 받지 않습니다: {more}",
        "address_gone": "제공사가 이 주소는 없어졌다고 합니다",
        "bounced": "이 주소로 보낸 메일이 영구히 반송되었습니다",
        "complained": "받는 사람이 스팸으로 신고했습니다",
        "asked": "보내지 않기로 한 주소 목록에 있습니다",
        "cancelled": "취소되었습니다",
        "erased": "고객이 정보 삭제를 요청했습니다",
        "interrupted": "호출 중에 프로세스가 끝났습니다",
        "no_answer": "호출에 답이 없었습니다",
        "fault": "Parley 자체의 오류이며 로그에 남아 있습니다",
        "settled": "사람이 그렇게 정했습니다",
        "provider": "제공사의 답: {more}",
        "": "{more}",
    },
})  # fmt: skip
"""By the word that a reason begins with. `more`: what stands behind it."""

SUMMARIES: Words = MappingProxyType({
    "en": {
        "suppressed": "Not sent: {why}.",
        "expired": "Not sent: {why}.",
        "failed": "Failed: {why}.",
        "unknown": "Nobody knows whether it left: {why}.",
        "sent": "Sent{by}; nothing is known of its arrival yet.",
        "delivered": "Delivered.",
        "read": "Delivered and read.",
        "partly": "Sent in part only: {why}.",
        "paused": "Not sent yet: its lane was paused by {who}.",
        "calling": "Not sent yet: its call is under way.",
        "behind": "Not sent yet: an earlier message of the same kind to this contact goes first.",
        "held": "Not sent yet: held until {until}, because {why}.",
        "timed": "Not sent yet: its time comes at {until}.",
        "ready": "Not sent yet: it waits in its line.",
    },
    "ko": {
        "suppressed": "보내지 않음: {why}.",
        "expired": "보내지 않음: {why}.",
        "failed": "실패: {why}.",
        "unknown": "보내졌는지 아무도 모름: {why}.",
        "sent": "보냄{by}. 도착 여부는 아직 알 수 없습니다.",
        "delivered": "도착했습니다.",
        "read": "도착했고 읽었습니다.",
        "partly": "일부만 보냄: {why}.",
        "paused": "아직 보내지 않음: {who} 님이 이 레인을 멈췄습니다.",
        "calling": "아직 보내지 않음: 호출이 진행 중입니다.",
        "behind": "아직 보내지 않음: 이 고객에게 갈 같은 종류의 앞선 메시지가 먼저입니다.",
        "held": "아직 보내지 않음: {until}까지 보류, {why}.",
        "timed": "아직 보내지 않음: {until}에 차례가 됩니다.",
        "ready": "아직 보내지 않음: 줄에서 기다립니다.",
    },
})  # fmt: skip
"""The first line of a story: where the message is, and why."""

MOMENTS: Words = MappingProxyType({
    "en": {
        "asked": "Asked for{by}: purpose {purpose}.",
        "instead": "It is told in place of message {of}.",
        "route": "It goes over {lane} ({channel}){why}.",
        "held": "Held until {until}: {why}.",
        "moved": "Moved from {from} to {to}: {why}.",
        "gate": "At the gate: {found}. It may leave.",
        "attempt": "Attempt {attempt}, {took}: {outcome}{said}.",
        "told": "The provider tells: {status}{said}{same}.",
        "opened": "Opened by {by}.",
        "clicked": "A link was followed by {by}.",
        "complained": "The recipient called it spam.",
        "unsubscribed": "The recipient unsubscribed by it.",
        "inquired": "The provider was asked what it knows: {found}.",
        "settled": "Settled as {as} by {by}{said}.",
        "followed": "Told in its place over {channel}: message {message}, {status}.",
        "ended": "It ends here: {why}.",
        "priced": "The provider counts {segments} segments and takes {price}.",
        "other": "{what}: {said}.",
    },
    "ko": {
        "asked": "발송 요청{by}: 목적 {purpose}.",
        "instead": "메시지 {of}를 대신합니다.",
        "route": "{lane}({channel})로 나갑니다{why}.",
        "held": "{until}까지 보류: {why}.",
        "moved": "{from}에서 {to}(으)로 옮김: {why}.",
        "gate": "관문에서: {found}. 나가도 됩니다.",
        "attempt": "시도 {attempt}, {took}: {outcome}{said}.",
        "told": "제공사의 알림: {status}{said}{same}.",
        "opened": "열어 봄: {by}.",
        "clicked": "링크를 누름: {by}.",
        "complained": "받는 사람이 스팸으로 신고했습니다.",
        "unsubscribed": "받는 사람이 이것으로 수신을 거부했습니다.",
        "inquired": "제공사에 물어봄: {found}.",
        "settled": "{by}이(가) {as}(으)로 정함{said}.",
        "followed": "{channel}로 대신 알림: 메시지 {message}, {status}.",
        "ended": "여기서 끝남: {why}.",
        "priced": "제공사가 센 세그먼트 {segments}개, 요금 {price}.",
        "other": "{what}: {said}.",
    },
})  # fmt: skip

PHRASES: Words = MappingProxyType({
    "en": {
        "accepted": "the provider took it", "permanent": "refused for good", "transient": "not taken, to be tried again",
        "throttled": "the provider asked to slow down", "opted_out": "refused: the recipient wants no more", "unknown": "no answer came",
        "flow": "flow {0}", "step": "step {0}", "campaign": "campaign {0}", "variant": "variant {0}", "api": "another system",
        "human": "a person", "machine": "a machine", "same": "; this changed nothing",
        "found": "it has it: {0}", "never": "it never got it", "nothing": "no answer that says anything",
        "granted": "consent given on {0}", "pending": "consent not confirmed yet, of {0}", "revoked": "consent withdrawn on {0}",
        "no_word": "no word on consent", "rules": "rules {0}", "caps": "slot {0} under caps", "window": "the customer last wrote on {0}",
        "provider": "the provider's own word", "policy": "the tenant's policy", "parts": "part {0} of {1} was the last that left",
    },
    "ko": {
        "accepted": "제공사가 받음", "permanent": "영구 거절", "transient": "받지 않음, 다시 시도", "throttled": "제공사가 속도를 줄이라고 함",
        "opted_out": "거절: 받는 사람이 원하지 않음", "unknown": "답이 없음",
        "flow": "흐름 {0}", "step": "단계 {0}", "campaign": "캠페인 {0}", "variant": "변형 {0}", "api": "다른 시스템",
        "human": "사람", "machine": "기계", "same": " (바뀐 것 없음)",
        "found": "가지고 있음: {0}", "never": "받은 적 없음", "nothing": "알 수 있는 답이 없음",
        "granted": "{0} 수신 동의", "pending": "{0} 동의, 아직 확인 전", "revoked": "{0} 동의 철회",
        "no_word": "동의에 관한 말 없음", "rules": "규칙 {0}", "caps": "한도 안 {0}번째", "window": "고객이 마지막으로 쓴 때 {0}",
        "provider": "제공사의 답", "policy": "테넌트의 정책", "parts": "{1}개 중 {0}번째 부분까지 나감",
    },
})  # fmt: skip


def because(reason: str | None, language: str = "en") -> str:
    """A reason as it stands in the tables, in words."""
    word, _, more = (reason or "").partition(":")
    known = REASONS[language]
    if word in known and word:
        said = known[word].format(more=more.strip() or "…")
        return f"{said} ({more.strip()})" if more.strip() and "{more}" not in known[word] else said
    return reason or "…"


def phrase(name: str, language: str, *values: Any) -> str:
    return PHRASES[language].get(name, name).format(*values)


def moment(what: str, language: str, **values: Any) -> str:
    """The sentence of one moment. A kind that nobody wrote a sentence for is told by its name and what is known of it."""
    known = MOMENTS[language]
    if what not in known:
        return known["other"].format(what=what, said=", ".join(f"{name} {value}" for name, value in values.items() if value is not None))
    return known[what].format_map(values)


def summary(what: str, language: str, **values: Any) -> str:
    return SUMMARIES[language][what].format_map(values)


def clock(at: datetime) -> str:
    """A time for people, to the second, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
