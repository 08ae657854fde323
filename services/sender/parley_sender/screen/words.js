/* What the screen says, in English and Korean. */

const WORDS = {
  en: {
    sender: "sender", skip: "Skip to the content", parts: "Parts of the screen", unknown: "Unknown", lanes: "Lanes", suppressions: "Suppressions",
    leave: "Forget the key", key: "API key", enter: "Go on", needs: "Type in a key of accounts.yaml. It stays in this tab alone.",
    refused: "The key is not known.", lacks: "This key may not do that: {detail}", away: "The service does not answer. Try again.", failed: "{detail}",
    none: "Nothing is unknown. Every message that left has its end.", more: "Show more", lane: "Lane", every: "All lanes", older: "Unknown for at least",
    any: "any time", minutes: "15 minutes", hour: "an hour", day: "a day", show: "Show", story: "Story", hide: "Hide the story", since: "Unknown since {at}",
    asked: "The provider was asked {count} times.", asking: "It will be asked again at {at}.", part: "{done} of {all} parts had left.",
    why: "Why (for whoever asks later)", sent: "It was sent", lost: "It failed", resend: "Send it once more", again: "Send once more: the customer may get it twice. Sure?",
    done: "Settled as {as}.", all: "All of lane {lane}", allsure: "Settle all {count} of lane {lane} as {as}. Sure?", alldone: "{count} settled.", yes: "Yes", no: "No",
    waiting: "Waiting", calling: "Being called for", rate: "Rate", configured: "{rate}/s in accounts.yaml", own: "{rate}, set here", pause: "Pause", resume: "Go on sending",
    paused: "Paused by {by} since {at}", running: "Running", setrate: "Set rate", clear: "As in accounts.yaml", newrate: "New rate, as 10/s or 500/h",
    open: "Circuit open until {at}", lanenone: "There are no lanes of yours.", changed: "Lane {lane}: {what}.",
    address: "Address", channel: "Channel", find: "Look up", free: "Nothing keeps messages from this address.", add: "Put on the list", remove: "Take off the list",
    note: "Note", scope: "For", tenant: "all accounts", global: "everybody", account: "account {account}", put: "{address} is on the list.", off: "{address} is off the list.",
    by: "by {by}", reply: "replies", transactional: "transactional", marketing: "marketing", reasonneeded: "Say why first.", nokey: "The key is forgotten.", own_list: "The list, the newest first",
  },
  ko: {
    sender: "발송", skip: "본문으로 건너뛰기", parts: "화면의 부분", unknown: "확인 필요", lanes: "레인", suppressions: "발송 금지 주소",
    leave: "키 지우기", key: "API 키", enter: "계속", needs: "accounts.yaml에 있는 키를 입력하세요. 이 탭에만 남습니다.",
    refused: "알 수 없는 키입니다.", lacks: "이 키로는 할 수 없습니다: {detail}", away: "서비스가 응답하지 않습니다. 다시 시도하세요.", failed: "{detail}",
    none: "확인이 필요한 메시지가 없습니다. 나간 메시지는 모두 결과가 있습니다.", more: "더 보기", lane: "레인", every: "모든 레인", older: "최소 경과 시간",
    any: "상관없음", minutes: "15분", hour: "1시간", day: "하루", show: "보기", story: "경과 보기", hide: "경과 숨기기", since: "{at}부터 확인 필요",
    asked: "제공사에 {count}번 물었습니다.", asking: "{at}에 다시 묻습니다.", part: "{all}개 중 {done}개 부분이 나갔습니다.",
    why: "이유 (나중에 묻는 사람을 위해)", sent: "보내졌음", lost: "실패했음", resend: "한 번 더 보내기", again: "한 번 더 보내면 고객이 두 번 받을 수 있습니다. 보낼까요?",
    done: "{as}(으)로 정했습니다.", all: "레인 {lane} 전체", allsure: "레인 {lane}의 {count}건을 모두 {as}(으)로 정할까요?", alldone: "{count}건을 정했습니다.", yes: "예", no: "아니요",
    waiting: "대기", calling: "호출 중", rate: "속도", configured: "accounts.yaml: 초당 {rate}", own: "{rate} (여기서 정함)", pause: "멈추기", resume: "다시 보내기",
    paused: "{by} 님이 {at}부터 멈춤", running: "보내는 중", setrate: "속도 정하기", clear: "accounts.yaml대로", newrate: "새 속도 (예: 10/s, 500/h)",
    open: "{at}까지 차단됨", lanenone: "레인이 없습니다.", changed: "레인 {lane}: {what}.",
    address: "주소", channel: "채널", find: "찾기", free: "이 주소로 보내는 것을 막는 항목이 없습니다.", add: "목록에 넣기", remove: "목록에서 빼기",
    note: "메모", scope: "범위", tenant: "모든 계정", global: "모두", account: "계정 {account}", put: "{address} 주소를 목록에 넣었습니다.", off: "{address} 주소를 목록에서 뺐습니다.",
    by: "{by}", reply: "답장", transactional: "거래", marketing: "광고", reasonneeded: "먼저 이유를 적으세요.", nokey: "키를 지웠습니다.", own_list: "목록 (새것부터)",
  },
};

export let language = localStorage.getItem("parley.language") ?? (navigator.language.startsWith("ko") ? "ko" : "en");

export function speak(other) {
  language = other;
  localStorage.setItem("parley.language", other);
}

export function say(word, values = {}) {
  return (WORDS[language][word] ?? word).replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

export function moment(text) {
  const at = new Date(text);
  const form = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false };
  return new Intl.DateTimeFormat(language === "ko" ? "ko-KR" : "en-GB", form).format(at);
}
