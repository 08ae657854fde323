/* Pieces of pages. Text is text: nothing that comes from outside is ever markup. */

import { say } from "./words.js";

export function make(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [property, value] of Object.entries(properties)) {
    if (property.startsWith("on")) node.addEventListener(property.slice(2), value);
    else if (property in node) node[property] = value;
    else node.setAttribute(property, value);
  }
  return fill(node, ...children);
}

/* Puts children into a node, those that there are. */
export function fill(node, ...children) {
  node.append(...children.filter((one) => one !== null && one !== undefined));
  return node;
}

export function field(word, input) {
  return make("label", {}, say(word), input);
}

export function choose(name, values, chosen) {
  return make("select", { name }, ...values.map(([value, text]) => make("option", { value, selected: value === chosen }, text)));
}

export function tell(text, bad = false) {
  const line = document.getElementById("status");
  line.textContent = text;
  line.classList.toggle("bad", bad);
}

/* A deed that a person starts: its button waits meanwhile, and what goes wrong is said. */
export function deed(button, act) {
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      await act();
    } catch (error) {
      tell(error.message, true);
    } finally {
      button.disabled = false;
    }
  });
  return button;
}

export function button(word, act, style = "deed") {
  return deed(make("button", { type: "button", className: style }, say(word)), act);
}

/* Asks once more before something that cannot be taken back; the answer of the person. */
export function sure(place, question) {
  return new Promise((resolve) => {
    const end = (answer) => { box.remove(); resolve(answer); };
    const no = make("button", { type: "button", onclick: () => end(false) }, say("no"));
    const yes = make("button", { type: "button", className: "risk", onclick: () => end(true) }, say("yes"));
    const box = make("div", { className: "row", role: "alertdialog", "aria-label": question, onkeydown: (event) => event.key === "Escape" && end(false) },
      make("p", { className: "risk" }, question), no, yes);
    place.append(box);
    no.focus();
  });
}
