// What is seen: the button, the panel with the conversation, and the field. Texts are texts, whatever they hold; only links become links.

const LINK = /\bhttps?:\/\/[^\s<>"']+/gi;
const TRAILING = /[.,;:!?)\]}'"»”’]+$/; // belongs to the sentence, not to the address
const NEAR = 80; // pixels from the end at which somebody still reads the end
const TYPED = 6000; // milliseconds that a sign of writing lasts

// An element with attributes and children; a child that is a text stays one.
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined && value !== null) made.setAttribute(key, value);
  made.append(...children.filter((one) => one !== null && one !== undefined));
  return made;
}

function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

const ICONS = {
  chat: "M4 5.5h16v11H9.5L4 20.5z",
  down: "M6 9.5l6 6 6-6",
  close: "M6 6l12 12M18 6L6 18",
  send: "M4 12h14M12 5l7 7-7 7",
  pending: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16M12 8v4.5l3 2",
  sent: "M5 12.5l4.5 4.5L19 7.5",
  read: "M2.5 12.5L7 17l9-9.5M10.5 15.5L12 17l9.5-9.5",
  failed: "M12 4v10M12 18.5v.5",
};

// The address if it is one that may be opened: http and https, nothing else.
function safe(address) {
  try {
    const url = new URL(address);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}

class View {
  // `does`: {say, toggle, again, typing} are called with what the visitor does.
  constructor(words, language, options, does) {
    Object.assign(this, { words, does });
    this.nodes = new Map();
    this.clock = new Intl.DateTimeFormat(language, { hour: "numeric", minute: "2-digit" });
    this.day = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
    this.host = element("div", { id: "parley-chat", "data-theme": options.theme, "data-side": options.side, lang: language });
    if (options.color) this.host.style.setProperty("--parley-accent", options.color);
    const root = this.host.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    root.append(this.panelOf(options), this.launcherOf());
    document.body.append(this.host);
  }

  launcherOf() {
    this.badge = element("span", { class: "badge", hidden: "" });
    this.launcher = element("button", { class: "launcher", type: "button", "aria-expanded": "false", "aria-controls": "panel", "aria-label": this.words.open },
      icon(ICONS.chat), icon(ICONS.down), this.badge);
    this.launcher.onclick = () => this.does.toggle(this.panel.hidden);
    return this.launcher;
  }

  panelOf(options) {
    const { words } = this;
    const title = options.title || words.title;
    const close = element("button", { class: "close", type: "button", "aria-label": words.close }, icon(ICONS.close));
    close.onclick = () => this.does.toggle(false);
    this.state = element("p", { class: "state", role: "status" });
    this.log = element("ol", { class: "log", role: "log", "aria-live": "polite", "aria-label": words.log, tabindex: "0" });
    if (options.greeting !== "") this.log.append(element("li", { class: "greeting brand" }, element("div", { class: "bubble" }, options.greeting || words.hello)));
    this.writes = element("div", { class: "typing", role: "status", "aria-label": "", hidden: "" }, ...[1, 2, 3].map(() => element("i")));
    this.panel = element("section", { class: "panel", id: "panel", role: "dialog", "aria-label": title, hidden: "" },
      element("header", {}, element("h2", {}, title), close), this.state, this.log, this.writes, this.formOf());
    this.panel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.isComposing) return;
      event.stopPropagation();
      this.does.toggle(false);
    });
    return this.panel;
  }

  formOf() {
    const { words } = this;
    this.field = element("textarea", { rows: "1", maxlength: "4000", "aria-label": words.field, placeholder: words.placeholder, enterkeyhint: "send" });
    this.field.oninput = () => {
      this.grow();
      if (this.field.value.trim()) this.does.typing();
    };
    this.field.onkeydown = (event) => {
      // While a Korean syllable is being put together, Enter ends it and sends nothing.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.submit();
    };
    const form = element("form", {}, this.field, element("button", { class: "send", type: "submit", "aria-label": words.send }, icon(ICONS.send)));
    form.onsubmit = (event) => {
      event.preventDefault();
      this.submit();
    };
    return form;
  }

  submit() {
    const text = this.field.value.trim();
    if (!text) return;
    this.field.value = "";
    this.grow();
    this.does.say(text, null);
    this.field.focus();
  }

  // Puts words into the field; what the visitor has begun to write stays.
  suggest(text) {
    if (this.field.value) return;
    this.field.value = text;
    this.grow();
  }

  grow() {
    this.field.style.height = "auto";
    this.field.style.height = `${Math.min(this.field.scrollHeight, 120)}px`;
  }

  open(yes) {
    if (this.panel.hidden === !yes) return;
    this.panel.hidden = !yes;
    this.host.toggleAttribute("data-open", yes);
    this.launcher.setAttribute("aria-expanded", String(yes));
    this.launcher.setAttribute("aria-label", yes ? this.words.close : this.words.open);
    if (yes) {
      this.field.focus();
      this.end();
    } else this.launcher.focus();
  }

  get isOpen() {
    return !this.panel.hidden;
  }

  // What is wrong with the line, in a sentence; nothing when all is well.
  say(sentence) {
    this.state.textContent = sentence;
  }

  unread(count) {
    this.badge.hidden = count === 0;
    this.badge.textContent = count > 9 ? "9+" : String(count);
    if (!this.isOpen) this.launcher.setAttribute("aria-label", count ? `${this.words.open}, ${this.words.unread(count)}` : this.words.open);
  }

  typing(yes) {
    clearTimeout(this.typed);
    const atEnd = this.atEnd;
    this.writes.hidden = !yes;
    if (atEnd) this.end();
    this.writes.setAttribute("aria-label", yes ? this.words.typing : "");
    if (yes) this.typed = setTimeout(() => this.typing(false), TYPED);
  }

  clear() {
    for (const { item } of this.nodes.values()) item.remove();
    this.nodes.clear();
  }

  get atEnd() {
    return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < NEAR;
  }

  end() {
    this.log.scrollTop = this.log.scrollHeight;
  }

  // Shows the conversation. What stands already stays where it is: a screen reader hears only what is new.
  show(messages) {
    const atEnd = this.atEnd;
    const answerable = messages.length && messages[messages.length - 1].from === "brand" ? messages[messages.length - 1].id : null;
    let before = this.log.querySelector(".greeting");
    for (const message of messages) {
      let node = this.nodes.get(message.id);
      if (!node) this.nodes.set(message.id, (node = this.nodeOf(message)));
      const next = before ? before.nextSibling : this.log.firstChild;
      if (next !== node.item) this.log.insertBefore(node.item, next);
      this.renew(node, message, message.id === answerable);
      before = node.item;
    }
    if (atEnd || (messages.length && messages[messages.length - 1].from === "visitor")) this.end();
  }

  nodeOf(message) {
    const { words } = this;
    const brand = message.from === "brand";
    const when = new Date(message.at);
    const time = element("time", { datetime: message.at, title: this.day.format(when) }, this.clock.format(when));
    const mark = element("span", { class: "mark" });
    const item = element("li", { class: brand ? "brand" : "visitor" }, element("span", { class: "unseen" }, `${brand ? words.brand : words.you}: `));
    item.append(...(message.media || []).map((one) => this.mediaOf(one)).filter((one) => one));
    if (message.text) item.append(this.textOf(message.text));
    const buttons = (message.choices || []).map((choice) => this.choiceOf(choice));
    if (buttons.length) item.append(element("div", { class: "choices", role: "group", "aria-label": words.choices }, ...buttons));
    item.append(element("p", { class: "foot" }, time, mark));
    return { item, mark, buttons, status: null };
  }

  renew(node, message, answerable) {
    for (const button of node.buttons) button.disabled = !answerable;
    if (message.from === "brand" || node.status === message.status) return;
    node.status = message.status;
    node.item.dataset.status = message.status;
    const said = this.words[message.status] || "";
    node.mark.replaceChildren(icon(ICONS[message.status] || ICONS.sent), element("span", { class: message.status === "failed" ? "said" : "unseen" }, said));
    node.mark.title = said;
    if (message.status !== "failed") return;
    const again = element("button", { class: "again", type: "button" }, this.words.again);
    again.onclick = () => this.does.again(message.id);
    node.mark.append(again);
  }

  choiceOf(choice) {
    const button = element("button", { class: "choice", type: "button" }, choice.title || choice.id);
    button.onclick = () => {
      this.does.say(choice.title || choice.id, { id: choice.id, title: choice.title || "" });
      this.field.focus();
    };
    return button;
  }

  textOf(text) {
    const bubble = element("div", { class: "bubble", dir: "auto" });
    let from = 0;
    for (const found of text.matchAll(LINK)) {
      const address = found[0].replace(TRAILING, "");
      const href = safe(address);
      if (!href) continue;
      bubble.append(text.slice(from, found.index), this.linkOf(href, address));
      from = found.index + address.length;
    }
    bubble.append(text.slice(from));
    return bubble;
  }

  linkOf(href, ...children) {
    return element("a", { href, target: "_blank", rel: "noopener noreferrer nofollow" }, ...children,
      element("span", { class: "unseen" }, ` (${this.words.newWindow})`));
  }

  mediaOf(media) {
    const href = media.url && safe(media.url);
    if (!href) return null;
    if (media.kind !== "image" && media.kind !== "sticker") return element("div", { class: "bubble" }, this.linkOf(href, this.words.file));
    const picture = element("img", { src: href, alt: this.words.picture, loading: "lazy", referrerpolicy: "no-referrer" });
    picture.onload = () => this.end();
    return this.linkOf(href, picture);
  }
}
