// The widget at work: what the page asked for, what the visitor does, what comes over the line.

const RESEND = 10000; // milliseconds after which what was not confirmed is said again
const WRITING = 4000; // between two signs that the visitor writes
const script = document.currentScript;

function start() {
  const base = script.src.replace(/\/widget\.js(\?.*)?$/, "");
  const language = languageOf(script);
  const words = WORDS[language];
  const store = new Store(base);
  const given = {}; // what the page tells about itself, beside its address and title
  if (script.dataset.cart) given.cart = script.dataset.cart;
  let told = ""; // the context that went with the last message
  let wrote = 0;
  let marked = { delivered: 0, read: 0 };
  let resend = null;

  const view = new View(words, language, script.dataset, {
    toggle: (yes) => {
      view.open(yes);
      if (yes) line.start();
      look();
    },
    say: (text, choice) => {
      const context = { page: location.href.slice(0, 500), title: document.title, language, ...given };
      const fresh = JSON.stringify(context) !== told;
      told = JSON.stringify(context);
      const message = { id: crypto.randomUUID ? crypto.randomUUID() : madeUp(), text, at: new Date().toISOString() };
      if (choice) message.choice = choice;
      if (fresh) message.context = context;
      store.add(message);
      line.start();
      send(message);
      later(RESEND);
      show();
    },
    again: (id) => {
      for (const one of store.waiting) if (one.id === id) delete one.failed;
      store.save();
      sendAll();
      show();
    },
    typing: () => {
      if (Date.now() - wrote < WRITING) return;
      wrote = Date.now();
      line.say({ type: "typing" });
    },
  });

  const line = new Line(base, store, script.dataset.customer || undefined, {
    messages: (messages, back) => {
      if (back) {
        marked = { delivered: 0, read: 0 };
        sendAll();
      }
      if (messages.some((one) => one.from === "brand" && one.status === "sent")) view.typing(false);
      show();
      look();
    },
    typing: () => view.typing(true),
    refused: (frame) => {
      if (frame.code === "too_fast") view.say(words.slow);
      if (frame.code === "too_fast" || frame.code === "unavailable") return later((frame.retry_after || 1) * 1000);
      for (const one of store.waiting) if (one.id === frame.id) one.failed = true;
      store.save();
      show();
    },
    state: (state) => view.say({ connecting: words.connecting, lost: words.lost, offline: words.offline, refused: words.refused }[state] || ""),
    other: () => view.clear(),
  });

  function send(message) {
    const { id, text, choice, context } = message;
    return line.say({ type: "message", id, text, choice, context });
  }

  // All that waits, in its order; the server knows what it has already.
  function sendAll() {
    for (const one of store.waiting) if (!one.failed) send(one);
    if (store.waiting.some((one) => !one.failed)) later(RESEND);
  }

  function later(pause) {
    clearTimeout(resend);
    resend = setTimeout(() => {
      if (line.state === "online") view.say("");
      sendAll();
    }, pause);
  }

  function show() {
    view.show(store.all());
    view.unread(view.isOpen ? 0 : store.unread());
  }

  // Tells what arrived, and what was seen: the panel is open, and somebody looks at the page.
  function look() {
    const status = view.isOpen && document.visibilityState === "visible" ? "read" : "delivered";
    const upTo = store.last("brand");
    if (upTo > marked[status] && line.say({ type: "marks", status, up_to: upTo })) marked[status] = upTo;
    view.unread(view.isOpen ? 0 : store.unread());
  }

  document.addEventListener("visibilitychange", look);
  window.Parley = {
    open: () => view.isOpen || view.launcher.click(),
    close: () => view.isOpen && view.launcher.click(),
    context: (values) => void Object.assign(given, values),
    identify: (customer) => line.identify(customer || undefined),
  };
  show();
  const asked = /^#parley-chat=(.{1,1000})/.exec(location.hash); // a click-to-chat link: the words stand ready, the visitor sends them
  if (asked) {
    history.replaceState(null, "", location.pathname + location.search);
    if (!view.isOpen) view.launcher.click();
    view.suggest(decoded(asked[1]));
  }
  if (store.token || script.dataset.customer) line.start(); // somebody who was here before hears what came meanwhile
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

// For pages without https, where browsers make no ids.
function madeUp() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return [...bytes].map((one, place) => ([4, 6, 8, 10].includes(place) ? "-" : "") + one.toString(16).padStart(2, "0")).join("");
}

if (!document.getElementById("parley-chat")) {
  if (document.body) start();
  else addEventListener("DOMContentLoaded", start);
}
