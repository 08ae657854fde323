// What the widget knows: the conversation by message id, and what is not sent yet, which survives a reload of the page.

class Store {
  constructor(account) {
    this.key = `parley.chat:${account}`;
    this.messages = new Map(); // by id; of one that comes twice the later word counts
    this.cursor = 0; // the number up to which the server has told us everything
    const kept = this.load();
    this.token = kept.token || "";
    this.visitor = kept.visitor || "";
    this.waiting = Array.isArray(kept.waiting) ? kept.waiting : []; // ours, in order: {id, text, choice, context, at, failed}
  }

  load() {
    try {
      return JSON.parse(localStorage.getItem(this.key)) || {};
    } catch {
      return {}; // no storage, or none for us: the conversation lasts as long as the page
    }
  }

  save() {
    try {
      localStorage.setItem(this.key, JSON.stringify({ token: this.token, visitor: this.visitor, waiting: this.waiting }));
    } catch {
      // as in load
    }
  }

  // A session is there. Another visitor than before: what was shown is not theirs.
  become(token, visitor) {
    const other = this.visitor !== "" && this.visitor !== visitor;
    if (other) {
      this.messages.clear();
      this.cursor = 0;
      this.waiting = [];
    }
    this.token = token;
    this.visitor = visitor;
    this.save();
    return other;
  }

  take(messages, cursor) {
    for (const one of messages) {
      this.messages.set(one.id, one);
      if (one.status !== "pending") this.sent(one.id);
    }
    if (cursor > this.cursor) this.cursor = cursor;
  }

  add(message) {
    this.waiting.push(message);
    this.save();
  }

  sent(id) {
    const left = this.waiting.filter((one) => one.id !== id);
    if (left.length === this.waiting.length) return;
    this.waiting = left;
    this.save();
  }

  // The conversation in its order: what the server has placed, then what still waits.
  all() {
    const placed = [...this.messages.values()].sort((one, other) => one.seq - other.seq);
    const known = new Set(placed.map((one) => one.id));
    const ours = this.waiting.filter((one) => !known.has(one.id));
    return [...placed, ...ours.map((one) => ({ ...one, from: "visitor", status: one.failed ? "failed" : "pending", choices: [], media: [] }))];
  }

  unread() {
    return [...this.messages.values()].filter((one) => one.from === "brand" && one.status !== "read").length;
  }

  last(from) {
    return Math.max(0, ...[...this.messages.values()].filter((one) => one.from === from).map((one) => one.seq));
  }
}
