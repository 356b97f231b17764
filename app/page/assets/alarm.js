// The banner above everything else, while something is wrong.

import { hereAt, serviceNow } from "./api.js";
import { announce, byId, make, say } from "./dom.js";
import { ago, moment } from "./format.js";

// Show the troubles, none of them: no banner.
export function showAlarm(troubles) {
  const place = byId("alarm");
  place.hidden = troubles.length === 0;
  place.dataset.tone = troubles[0]?.tone ?? "";
  document.title = troubles.length ? `${troubles[0].state} – Sluice` : "Sluice";
  const told = JSON.stringify(troubles);
  if (place.dataset.told === told && place.childElementCount === troubles.length) return;
  const before = place.dataset.titles ?? "";
  place.dataset.told = told;
  place.dataset.titles = troubles.map(({ title }) => title).join(". ");
  place.replaceChildren(...troubles.map(item));
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

function item({ title, words, since, isHere, detail, help }) {
  const at = since && { "data-since": since, "data-words": isHere ? "Last heard of at" : "Since", "data-is-here": isHere ? "1" : null };
  return make(
    "div",
    {},
    make("h2", {}, title),
    since ? make("p", { className: "since", ...at }) : null,
    make("p", {}, words),
    detail ? make("p", { className: "said" }, "The store said: ", make("q", {}, detail)) : null,
    help ? make("p", {}, "What to do: ", make("code", {}, help), " in the service’s repository") : null,
  );
}
