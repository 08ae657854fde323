/* The screen: what is unknown, the lanes, the addresses to which nothing leaves. */

import { Refused, ask, key } from "./api.js";
import { button, choose, deed, field, fill, make, sure, tell } from "./parts.js";
import { language, moment, say, speak } from "./words.js";

const main = document.getElementById("main");
const PAGES = { unknown, lanes, suppressions };
const CHANNELS = ["sms", "mms", "rcs", "whatsapp", "messenger", "instagram", "telegram", "line", "email", "push", "webchat", "inapp", "voice"];
const AGES = [["", "any"], ["15m", "minutes"], ["1h", "hour"], ["1d", "day"]];

// --- what is unknown ---------------------------------------------------------------------------------------------------------------------

async function unknown(place) {
  const { lanes: known } = await ask("/v1/lanes");
  const lane = choose("lane", [["", say("every")], ...known.map((one) => [one.lane, `${one.lane} (${one.unknown})`])], "");
  const age = choose("older", AGES.map(([value, word]) => [value, say(word)]), "");
  const list = make("div", { className: "list" });
  const show = make("form", { className: "line", onsubmit: (event) => { event.preventDefault(); again(); } },
    field("lane", lane), field("older", age), make("button", { type: "submit" }, say("show")));
  const bulk = make("div");
  const again = guarded(async () => {
    list.replaceChildren();
    bulk.replaceChildren();
    await page(list, { lane: lane.value, older_than: age.value });
    if (lane.value && list.childElementCount) bulk.replaceChildren(ofLane(lane.value, known.find((one) => one.lane === lane.value).unknown, again));
  });
  place.append(make("h2", {}, say("unknown")), show, bulk, list);
  await again();
}

async function page(list, wanted) {
  const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value));
  const found = await ask(`/v1/unknown?${query}`);
  list.append(...found.unknown.map(inDoubt));
  if (!list.childElementCount) list.append(make("p", { className: "soft" }, say("none")));
  if (found.next) {
    const more = button("more", async () => { await page(list, { ...wanted, after: found.next }); more.remove(); }, "");
    list.append(more);
  }
}

function inDoubt(one) {
  const card = make("article", { className: "card" });
  const told = make("div");
  const why = make("input", { name: "why", maxLength: 500, autocomplete: "off" });
  const story = button("story", async () => {
    if (told.childElementCount) told.replaceChildren();
    else told.replaceChildren(...storyOf(await ask(`/v1/messages/${one.message_id}?language=${language}`)));
    story.textContent = say(told.childElementCount ? "hide" : "story");
    story.setAttribute("aria-expanded", String(told.childElementCount > 0));
  }, "");
  const settle = (as, word) => async () => {
    if (!why.value.trim()) { why.focus(); throw new Refused(0, say("reasonneeded")); }
    if (as === "resend" && !(await sure(card, say("again")))) return;
    await ask(`/v1/messages/${one.message_id}/settle`, { method: "POST", body: { as, note: why.value } });
    card.remove();
    tell(say("done", { as: say(word) }));
  };
  fill(card,
    make("h3", {}, `${one.lane} · ${say(one.purpose)}${one.campaign ? ` · ${one.campaign}` : ""}`),
    make("p", { className: "soft" }, one.message_id),
    make("p", {}, say("since", { at: moment(one.since) })),
    one.parts > 1 ? make("p", {}, say("part", { done: one.parts_done, all: one.parts })) : null,
    one.asked ? make("p", { className: "soft" }, say("asked", { count: one.asked }), one.asked_again_at ? ` ${say("asking", { at: moment(one.asked_again_at) })}` : "") : null,
    make("div", { className: "row" }, story), told,
    make("div", { className: "row" }, field("why", why), button("sent", settle("sent", "sent")), button("lost", settle("failed", "lost")),
      button("resend", settle("resend", "resend"), "risk")),
  );
  return card;
}

function storyOf(told) {
  const moments = told.story.map((one) => make("li", {}, make("time", { dateTime: one.at }, moment(one.at)), one.said));
  return [make("p", {}, told.summary), make("ol", { className: "story" }, ...moments)];
}

function ofLane(lane, count, again) {
  const box = make("section", { className: "card", "aria-label": say("all", { lane }) });
  const why = make("input", { name: "why_all", maxLength: 500, autocomplete: "off" });
  const settle = (as, word) => async () => {
    if (!why.value.trim()) { why.focus(); throw new Refused(0, say("reasonneeded")); }
    if (!(await sure(box, say("allsure", { lane, count, as: say(word) })))) return;
    const before = new Date().toISOString();
    let settled = 0;
    for (let more = true; more;) {
      const done = await ask("/v1/unknown/settle", { method: "POST", body: { lane, as, note: why.value, before } });
      settled += done.settled;
      more = done.more;
    }
    await again();
    tell(say("alldone", { count: settled }));
  };
  box.append(make("h3", {}, say("all", { lane })), make("div", { className: "row" }, field("why", why), button("sent", settle("sent", "sent")),
    button("lost", settle("failed", "lost")), button("resend", settle("resend", "resend"), "risk")));
  return box;
}

// --- lanes -------------------------------------------------------------------------------------------------------------------------------

async function lanes(place) {
  const { lanes: found } = await ask("/v1/lanes");
  place.append(make("h2", {}, say("lanes")), ...found.map(lane));
  if (!found.length) place.append(make("p", { className: "soft" }, say("lanenone")));
}

function lane(one) {
  const card = make("article", { className: "card", id: `lane-${one.lane}` });
  const rate = make("input", { name: "rate", placeholder: "10/s", autocomplete: "off" });
  const set = (body, word) => async () => {
    const after = await ask(`/v1/lanes/${encodeURIComponent(one.lane)}`, { method: "PATCH", body });
    const fresh = lane(after);
    card.replaceWith(fresh);
    fresh.querySelector("button").focus();
    tell(say("changed", { lane: one.lane, what: say(word) }));
  };
  const waiting = Object.entries(one.waiting).map(([purpose, what]) => `${say(purpose)} ${what.messages}`).join(" · ") || "0";
  const facts = [
    [say("waiting"), waiting], [say("calling"), one.calling], [say("unknown"), one.unknown],
    [say("rate"), one.rate ? say("own", { rate: one.rate }) : say("configured", { rate: one.configured_rate_per_second })],
  ];
  fill(card,
    make("h3", {}, `${one.lane} · ${one.channel}`),
    one.paused ? make("p", { className: "risk" }, say("paused", { by: one.paused.by, at: moment(one.paused.at) })) : make("p", { className: "well" }, say("running")),
    one.broken_until && new Date(one.broken_until) > new Date() ? make("p", { className: "risk" }, say("open", { at: moment(one.broken_until) })) : null,
    make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))])),
    make("div", { className: "row" },
      one.paused ? button("resume", set({ paused: false }, "resume")) : button("pause", set({ paused: true }, "pause"), "risk"),
      field("newrate", rate), button("setrate", () => set({ rate: rate.value.trim() }, "setrate")()),
      one.rate ? button("clear", set({ rate: null }, "clear"), "") : null),
  );
  return card;
}

// --- suppressions ------------------------------------------------------------------------------------------------------------------------

async function suppressions(place) {
  const address = make("input", { name: "address", autocomplete: "off", required: true });
  const channel = choose("channel", CHANNELS.map((one) => [one, one]), "sms");
  const note = make("input", { name: "note", maxLength: 500, autocomplete: "off" });
  const list = make("div", { className: "list" });
  const look = guarded(async () => {
    const query = new URLSearchParams({ address: address.value.trim(), channel: channel.value });
    const { suppressions: found } = await ask(`/v1/suppressions?${query}`);
    list.replaceChildren(...found.map((one) => entry(one, look)));
    if (!found.length) list.append(make("p", { className: "soft" }, say("free")));
    tell("");
  });
  const add = deed(make("button", { type: "button", className: "risk" }, say("add")), async () => {
    if (!address.reportValidity()) return;
    await ask("/v1/suppressions", { method: "PUT", body: { channel: channel.value, address: address.value.trim(), ...(note.value ? { note: note.value } : {}) } });
    await look();
    tell(say("put", { address: address.value.trim() }));
  });
  place.append(make("h2", {}, say("suppressions")),
    make("form", { className: "line", onsubmit: (event) => { event.preventDefault(); look(); } },
      field("channel", channel), field("address", address), make("button", { type: "submit", className: "deed" }, say("find")), field("note", note), add), list);
  const { suppressions: newest } = await ask("/v1/suppressions?limit=20");
  if (newest.length) list.append(make("h3", {}, say("own_list")), ...newest.map((one) => entry(one, () => location.reload())));
}

function entry(one, again) {
  const card = make("article", { className: "card" });
  const query = new URLSearchParams({ channel: one.channel, address: one.address, scope: one.scope, ...(one.account ? { account: one.account } : {}) });
  fill(card,
    make("h3", {}, `${one.address} · ${one.channel}`),
    make("p", {}, `${one.reason}${one.note ? `: ${one.note}` : ""}`),
    make("p", { className: "soft" }, [say(one.scope, one), moment(one.since), one.by ? say("by", one) : null].filter(Boolean).join(" · ")),
    make("div", { className: "row" }, button("remove", async () => {
      await ask(`/v1/suppressions?${query}`, { method: "DELETE" });
      card.remove();
      tell(say("off", one));
    }, "")),
  );
  return card;
}

// --- the frame ---------------------------------------------------------------------------------------------------------------------------

function guarded(act) {
  return async () => {
    try {
      await act();
    } catch (error) {
      if (error instanceof Refused && error.status === 401) return door(error.message);
      tell(error.message, true);
    }
  };
}

function door(fault = "") {
  key.forget();
  document.getElementById("leave").hidden = true;
  const typed = make("input", { type: "password", name: "key", autocomplete: "off", required: true, spellcheck: false });
  const enter = (event) => { event.preventDefault(); key.set(typed.value.trim()); tell(""); show(); };
  main.replaceChildren(make("form", { className: "card", onsubmit: enter }, make("p", {}, say("needs")), field("key", typed),
    make("div", { className: "row" }, make("button", { type: "submit", className: "deed" }, say("enter")))));
  tell(fault, Boolean(fault));
  typed.focus();
}

async function show() {
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll("[data-word]")) node.textContent = say(node.dataset.word);
  document.querySelector("nav").setAttribute("aria-label", say("parts"));
  const other = document.getElementById("language");
  [other.textContent, other.lang] = language === "ko" ? ["English", "en"] : ["한국어", "ko"];
  if (!key.get()) return door();
  document.getElementById("leave").hidden = false;
  const name = location.hash.slice(1) in PAGES ? location.hash.slice(1) : "unknown";
  for (const link of document.querySelectorAll("nav a")) link.hash === `#${name}` ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  const place = make("div");
  main.replaceChildren(place);
  await guarded(() => PAGES[name](place))();
}

document.getElementById("language").addEventListener("click", () => { speak(language === "ko" ? "en" : "ko"); show(); });
document.getElementById("leave").addEventListener("click", () => { door(); tell(say("nokey")); });
window.addEventListener("hashchange", () => { tell(""); show(); });
show();
