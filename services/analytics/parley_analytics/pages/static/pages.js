// Live pages: the figures are asked for again while somebody looks, and taken over where they changed. Without this file pages are as they were loaded.
import { drawAll, forgetAll, redrawAll } from "./charts.js";

const EVERY = 15_000;
const live = document.getElementById("live"), said = document.getElementById("said"), fresh = document.getElementById("fresh");
let etag = live?.dataset.etag ?? "", asking = false, last = Date.now();

drawAll(document);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
document.addEventListener("keydown", closeTools);
if (live) begin();

function begin() {
  fresh.checked = sessionStorage.getItem("parley.fresh") !== "no";
  fresh.addEventListener("change", () => {
    sessionStorage.setItem("parley.fresh", fresh.checked ? "yes" : "no");
    refresh();
  });
  setInterval(refresh, EVERY);
  document.addEventListener("visibilitychange", () => { if (Date.now() - last > EVERY) refresh(); });
  tell();
}

async function refresh() {
  if (asking || document.hidden || !fresh.checked) return;
  asking = true;
  try {
    const answer = await fetch(location.href, { headers: { "if-none-match": etag, accept: "text/html" }, redirect: "manual", cache: "no-store", signal: AbortSignal.timeout(EVERY) });
    if (answer.type === "opaqueredirect" || answer.status === 403) return tell("off");
    if (answer.status === 304) return tell();
    if (!answer.ok) return tell("stale");
    take(new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live"));
    return tell();
  } catch {
    return tell("stale");
  } finally {
    asking = false;
  }
}

// What was opened stays open, and the focus stays where it was.
function take(next) {
  if (!next || next.dataset.etag === etag) return;
  etag = next.dataset.etag;
  const opened = [...live.querySelectorAll("details")].map((one) => one.open);
  const scrolled = [...live.querySelectorAll(".scroll")].map((one) => one.scrollTop);
  const stops = "a, button, input, select, summary, [tabindex]", focused = [...live.querySelectorAll(stops)].indexOf(document.activeElement);
  const typed = live.querySelector("input[type=search]")?.value;
  forgetAll();
  live.replaceChildren(...document.importNode(next, true).childNodes);
  live.querySelectorAll("details").forEach((one, place) => { one.open = opened[place] ?? one.open; });
  live.querySelectorAll(".scroll").forEach((one, place) => { one.scrollTop = scrolled[place] ?? 0; });
  const field = live.querySelector("input[type=search]");
  if (field && typed !== undefined) field.value = typed;
  drawAll(live);
  if (focused >= 0) live.querySelectorAll(stops)[focused]?.focus({ preventScroll: true });
}

function tell(trouble) {
  const text = trouble ? said.dataset[trouble] : "", time = document.getElementById("as-of");
  if (said.textContent !== text) said.textContent = text;
  if (trouble) return;
  last = Date.now();
  time.textContent = `${time.dataset.says} ${new Intl.DateTimeFormat(document.documentElement.lang, { timeStyle: "medium", hourCycle: "h23" }).format(last)}`;
}

function closeTools(pressed) {
  const tools = document.querySelector("details.tools[open]");
  if (pressed.key !== "Escape" || !tools) return;
  tools.open = false;
  tools.querySelector("summary").focus();
}
