// The line to the server: a session, then a socket; where no socket can be had, plain requests. Broken lines are made anew from the last number on.

const PROTOCOL = "parley.chat.1";
const ALIVE = 25000; // milliseconds between two looks whether the server still answers
const ANSWER = 10000; // that an answer may take
const PAUSE = 500, LONGEST = 15000; // between two tries: doubled each time, and spread
const SOCKETLESS = 2; // sockets that never opened, in a row, after which plain requests are used
const SOCKET_AGAIN = 60000; // until a socket is tried again

class Line {
  // `hears`: {messages, typing, refused, state, other} are called with what comes.
  constructor(base, store, customer, hears) {
    Object.assign(this, { base, store, customer, hears });
    this.tries = 0;
    this.unopened = 0;
    this.state = "closed";
    this.session = false;
  }

  start() {
    if (this.state !== "closed") return;
    addEventListener("online", () => this.hurry());
    addEventListener("offline", () => this.drop());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.hurry());
    this.connect();
  }

  // Says something now. False: there is no line, say it when there is one.
  say(frame) {
    if (this.state !== "online") return false;
    if (this.socket) this.socket.send(JSON.stringify(frame));
    else this.post(frame);
    return true;
  }

  // The customer signed in or out: another session, maybe another conversation.
  identify(customer) {
    this.customer = customer;
    this.session = false;
    if (this.state === "refused") {
      this.state = "lost";
      this.connect();
    } else if (this.state !== "closed") this.drop();
  }

  set(state) {
    if (this.state === state) return;
    this.state = state;
    this.hears.state(state);
  }

  async connect() {
    clearTimeout(this.timer);
    if (this.state === "refused" || this.busy) return;
    if (navigator.onLine === false) return this.set("offline");
    this.busy = true;
    if (this.state === "closed") this.set("connecting");
    try {
      if (!this.session) await this.open();
      if (this.unopened < SOCKETLESS) this.listen();
      else this.poll();
    } catch (error) {
      if (error.final) this.set("refused");
      else this.later();
    } finally {
      this.busy = false;
    }
  }

  async open() {
    const answer = await this.ask("/session", { method: "POST", body: JSON.stringify({ token: this.store.token, customer: this.customer }) });
    if (this.store.become(answer.token, answer.visitor)) this.hears.other();
    this.session = true;
  }

  // --- by socket

  listen() {
    const address = `${this.base.replace(/^http/, "ws")}/socket?after=${this.store.cursor}`;
    const socket = new WebSocket(address, [PROTOCOL, this.store.token]);
    this.socket = socket;
    let opened = false;
    this.late = setTimeout(() => socket.close(), ANSWER);
    socket.onopen = () => {
      opened = true;
      clearTimeout(this.late);
      this.unopened = 0;
      this.watch(socket);
    };
    socket.onmessage = (event) => {
      this.answered = true;
      this.hear(JSON.parse(event.data));
    };
    socket.onclose = () => {
      clearTimeout(this.late);
      clearInterval(this.watching);
      if (this.socket !== socket) return;
      this.socket = null;
      if (!opened) {
        this.unopened += 1;
        this.session = false; // the token may be what was refused
      }
      this.later();
    };
  }

  watch(socket) {
    this.answered = true;
    this.watching = setInterval(() => {
      if (!this.answered) return socket.close();
      this.answered = false;
      socket.send('{"type":"ping"}');
    }, ALIVE);
  }

  // --- by plain requests

  async poll() {
    const until = Date.now() + SOCKET_AGAIN;
    let wait = 0;
    try {
      while (Date.now() < until && this.session) {
        this.poller = new AbortController();
        const signal = AbortSignal.any ? AbortSignal.any([this.poller.signal, AbortSignal.timeout(40000)]) : this.poller.signal;
        const found = await this.ask(`/messages?after=${this.store.cursor}&wait=${wait}`, { signal });
        if (found.typing) this.hear({ type: "typing" });
        this.hear({ type: "messages", ...found });
        wait = 20;
      }
      this.unopened = 0;
      this.connect();
    } catch (error) {
      if (error.status === 401) this.session = false;
      if (error.final) this.set("refused");
      else this.later();
    }
  }

  async post(frame) {
    try {
      this.hear({ type: "messages", messages: [], ...(await this.ask("/messages", { method: "POST", body: JSON.stringify(frame) })) });
    } catch (error) {
      const code = error.code || (error.status === 422 ? "unreadable" : "unavailable");
      this.hear({ type: "refused", id: frame.id, code, retry_after: error.after });
    }
  }

  async ask(path, options) {
    const headers = { "content-type": "application/json" };
    if (this.session) headers.authorization = `Bearer ${this.store.token}`;
    const answer = await fetch(this.base + path, { headers, signal: AbortSignal.timeout ? AbortSignal.timeout(ANSWER) : undefined, ...options });
    if (answer.ok) return answer.json();
    const told = await answer.json().catch(() => ({}));
    const final = [403, 404].includes(answer.status) || (answer.status === 401 && !this.session);
    throw Object.assign(new Error(told.detail), { status: answer.status, code: told.code, after: Number(answer.headers.get("retry-after")) || 0, final });
  }

  // --- both

  hear(frame) {
    if (frame.type === "messages") {
      this.store.take(frame.messages, frame.cursor || 0);
      this.tries = 0;
      const before = this.state;
      if (frame.cursor !== undefined) this.set("online");
      this.hears.messages(frame.messages, before !== "online" && this.state === "online");
    } else if (frame.type === "typing") this.hears.typing();
    else if (frame.type === "refused") this.hears.refused(frame);
  }

  later() {
    this.set(navigator.onLine === false ? "offline" : "lost");
    clearTimeout(this.timer);
    const pause = Math.min(LONGEST, PAUSE * 2 ** this.tries) * (0.5 + Math.random());
    this.tries += 1;
    this.timer = setTimeout(() => this.connect(), pause);
  }

  // Now rather than later: the network is back, or somebody looks.
  hurry() {
    if (this.state !== "lost" && this.state !== "offline") return;
    this.tries = 0;
    this.connect();
  }

  drop() {
    if (this.poller) this.poller.abort();
    if (this.socket) {
      const socket = this.socket;
      this.socket = null;
      clearTimeout(this.late);
      clearInterval(this.watching);
      socket.close();
      this.later();
    } else if (this.state !== "closed" && navigator.onLine === false) this.set("offline");
  }
}
