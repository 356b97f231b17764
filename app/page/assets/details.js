// One record in full, in a dialog: the browser keeps the focus inside, and gives it back when it is closed.

import { byId, make, say } from "./dom.js";
import { NONE, moment } from "./format.js";

const TIMES = new Set(["TIMESTAMP"]);

export function setUpDetails() {
  byId("details-close").addEventListener("click", () => byId("details").close());
}

// Show all `columns` (of /v1/schema) of a `row`; with `payload`, the bytes of this column as text.
export function showDetails(title, row, columns, payload = "") {
  say(byId("details-title"), title);
  const tops = columns.filter(({ path }) => !path.includes("."));
  const entries = tops.flatMap(({ path, type }) => [
    make("dt", {}, path),
    make("dd", {}, path === payload ? bytesAsText(row[path]) : shown(row[path], type)),
  ]);
  byId("details-list").replaceChildren(...entries);
  byId("details").showModal();
}

function shown(value, type) {
  if (value === null || value === undefined) return NONE;
  if (typeof value === "object") return make("pre", {}, JSON.stringify(value, null, 2));
  if (TIMES.has(type)) return make("time", { dateTime: value, title: value }, `${moment(value)} (${value})`);
  return String(value);
}

function bytesAsText(base64) {
  const bytes = Uint8Array.from(atob(base64 ?? ""), (letter) => letter.charCodeAt(0));
  return make("pre", {}, new TextDecoder().decode(bytes) || "The content was empty.");
}
