// The banner above everything else, while something is wrong.

import { hereAt, serviceNow } from "./api.js";
import { announce, byId, make, say } from "./dom.js";
import { ago, moment } from "./format.js";

const RUN_BOOK = "docs/runbook.md";

// Show the troubles, none of them: no banner. `runBook` is where the run-book is read, or "".
export function showAlarm(troubles, runBook) {
  const place = byId("alarm");
  place.hidden = troubles.length === 0;
  place.dataset.tone = troubles[0]?.tone ?? "";
  document.title = troubles.length ? `${troubles[0].state} – Sluice` : "Sluice";
  const told = JSON.stringify([troubles, runBook]);
  if (place.dataset.told === told && place.childElementCount === troubles.length) return;
  const before = place.dataset.titles ?? "";
  place.dataset.told = told;
  place.dataset.titles = troubles.map(({ title }) => title).join(". ");
  place.replaceChildren(...troubles.map((trouble) => item(trouble, runBook)));
  if (place.dataset.titles !== before) announce(place.dataset.titles || "All is well again.");
  showAlarmAges();
}

// Say anew how long it has been so.
export function showAlarmAges() {
  for (const place of byId("alarm").querySelectorAll("[data-since]")) {
    const { since, isHere, words } = place.dataset;
    const age = (isHere ? Date.now() : serviceNow()) - Date.parse(since);
    say(place, `${words} ${moment(isHere ? since : hereAt(since))}, ${ago(age)}.`);
  }
}

function item({ title, words, since, isHere, detail, help }, runBook) {
  const at = since && { "data-since": since, "data-words": isHere ? "Last heard of at" : "Since", "data-is-here": isHere ? "1" : null };
  return make(
    "div",
    {},
    make("h2", {}, title),
    since ? make("p", { className: "since", ...at }) : null,
    make("p", {}, words),
    detail ? make("p", { className: "said" }, "The store said: ", make("q", {}, detail)) : null,
    help ? make("p", {}, "What to do: ", where(help, runBook)) : null,
  );
}

// Return a link to the run-book's heading, or, where nobody said where it is read, its place in the repository.
function where(help, runBook) {
  if (runBook && help.startsWith(RUN_BOOK)) return make("a", { href: runBook + help.slice(RUN_BOOK.length) }, "run-book");
  return make("span", {}, make("code", {}, help), " in the service’s repository");
}
