// What the widget says, in the visitor's language.

const WORDS = {
  en: {
    title: "Chat with us", open: "Open chat", close: "Close chat", log: "Messages", field: "Your message", placeholder: "Write a message…",
    send: "Send", hello: "Hello! How can we help you?", you: "You", brand: "Support", offline: "You are offline. Messages are sent when you are back.",
    connecting: "Connecting…", lost: "The connection is lost. Trying again…", refused: "This chat is not available here.",
    pending: "Waiting to be sent", sent: "Sent", read: "Read", failed: "Not sent.", again: "Try again", typing: "Somebody is writing",
    choices: "Answers to choose from", picture: "Picture", file: "File", newWindow: "opens in a new window", slow: "One moment, that was a lot at once.",
    unread: (count) => (count === 1 ? "1 new message" : `${count} new messages`),
  },
  ko: {
    title: "문의하기", open: "채팅 열기", close: "채팅 닫기", log: "대화 내용", field: "메시지", placeholder: "메시지를 입력하세요…",
    send: "보내기", hello: "안녕하세요! 무엇을 도와드릴까요?", you: "나", brand: "상담", offline: "오프라인 상태예요. 다시 연결되면 메시지를 보내 드릴게요.",
    connecting: "연결하는 중…", lost: "연결이 끊어졌어요. 다시 연결하고 있어요…", refused: "이 페이지에서는 채팅을 쓸 수 없어요.",
    pending: "보내는 중", sent: "보냄", read: "읽음", failed: "보내지 못했어요.", again: "다시 보내기", typing: "답변을 쓰고 있어요",
    choices: "고를 수 있는 답변", picture: "사진", file: "파일", newWindow: "새 창에서 열림", slow: "잠시만요, 조금 천천히 보내 주세요.",
    unread: (count) => `새 메시지 ${count}개`,
  },
};

// The page's own wish, else the language of the page, else that of the browser; English where it is none of ours.
function languageOf(script) {
  const asked = [script.dataset.lang, document.documentElement.lang, navigator.language];
  const found = asked.map((one) => (one || "").slice(0, 2).toLowerCase()).find((one) => one);
  return found in WORDS ? found : "en";
}
