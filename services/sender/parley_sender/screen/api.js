/* The API, asked with the key of this tab. */

import { say } from "./words.js";

const KEY = "parley.key";

export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export async function ask(path, { method = "GET", body } = {}) {
  let answer;
  try {
    const headers = { authorization: `Bearer ${key.get()}`, ...(body ? { "content-type": "application/json" } : {}) };
    answer = await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: "no-store", credentials: "omit" });
  } catch {
    throw new Refused(0, say("away"));
  }
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  const said = await answer.json().catch(() => ({}));
  const detail = said.detail ?? said.title ?? String(answer.status);
  if (answer.status === 401) throw new Refused(401, say("refused"));
  throw new Refused(answer.status, say(answer.status === 403 ? "lacks" : answer.status === 503 ? "away" : "failed", { detail }));
}
