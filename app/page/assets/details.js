// One record in full, in a dialog: the browser keeps the focus inside, and gives it back when it is closed.

import { byId, make, say } from "./dom.js";
import { NONE, moment } from "./format.js";

const TIMES = new Set(["TIMESTAMP"]);

export function setUpDetails() {
  byId("details-close").addEventListener("click", () => byId("details").close());
}

// Show all `columns` (of /v1/schema) of a `row`; with `payload`, the bytes of this column as text. `actions` are elements:
// what may be done with it.
export function showDetails(title, row, columns, { payload = "", actions = [] } = {}) {
  say(byId("details-title"), title);
  const tops = columns.filter(({ path }) => !path.includes("."));
  const entries = tops.flatMap(({ path, type }) => [
    make("dt", {}, path),
    make("dd", {}, path === payload ? bytesAsText(row[path]) : shown(row[path], type)),
  ]);
  byId("details-list").replaceChildren(...entries);
  byId("details-actions").replaceChildren(...actions);
  byId("details-actions").hidden = actions.length === 0;
  byId("details").showModal();
}

function shown(value, type) {
  if (value === null || value === undefined) return NONE;
  if (typeof value === "object") return make("pre", {}, JSON.stringify(value, null, 2));
  if (TIMES.has(type)) return make("time", { dateTime: value, title: value }, `${moment(value)} (${value})`);
  return String(value);
}

// Return bytes, which the API writes in base64.
export function bytesOf(base64) {
  return Uint8Array.from(atob(base64 ?? ""), (letter) => letter.charCodeAt(0));
}

// JSON is laid out, as it often came on a single line; anything else stands as it is.
function bytesAsText(base64) {
  const text = new TextDecoder().decode(bytesOf(base64));
  return make("pre", {}, laidOut(text) || "The content was empty.");
}

// Numbers are not read and written again: those of more than 53 bits would change.
function laidOut(text) {
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    return text;
  }
  const isPlain = typeof found !== "object" || found === null || /\d{16}/.test(text);
  return isPlain ? text : JSON.stringify(found, null, 2);
}
