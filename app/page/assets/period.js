// The time that is looked at: some time back from now, or from one instant to another.

import { serviceNow } from "./api.js";
import { announce, byId } from "./dom.js";
import { RANGES, moment } from "./format.js";
import { changeView, view } from "./view.js";

// Buckets for each time that can be looked back on: about a hundred, so that a peak still shows.
const BUCKETS = { PT15M: "PT10S", PT1H: "PT1M", P1D: "PT15M" };
// What a longer time costs to count is asked for less often: seconds between rounds, at least.
const LEAST_S = { PT15M: 0, PT1H: 5, P1D: 30 };
const CLOSED_LEAST_S = 60; // what has passed hardly changes
const MOST_BUCKETS = 150;
const ROUND = [
  ...[[10, "PT10S"], [30, "PT30S"], [60, "PT1M"], [300, "PT5M"], [900, "PT15M"], [3600, "PT1H"], [21_600, "PT6H"]],
  [86_400, "P1D"],
];
const DEFAULT = "PT15M";

// Return the period of the view: `since` and `until` as the API takes them (`until` "": now), the `bucket` of its plots,
// `words` for it, and how often to ask, at most.
export function period() {
  const { range, since, until } = view();
  const [from, to] = [Date.parse(since), Date.parse(until)];
  if (range === null && from < to) {
    const hasEnded = to < serviceNow();
    return {
      ...{ since: new Date(from).toISOString(), until: new Date(to).toISOString(), hasEnded, isLive: false },
      ...{ bucket: bucketFor((to - from) / 1000), leastS: hasEnded ? CLOSED_LEAST_S : LEAST_S.P1D },
      words: `the time from ${moment(from)} to ${moment(to)}`,
    };
  }
  const back = Object.hasOwn(RANGES, range ?? "") ? range : DEFAULT;
  const words = `the last ${RANGES[back]}`;
  return { since: `-${back}`, until: "", hasEnded: false, isLive: true, bucket: BUCKETS[back], leastS: LEAST_S[back], words };
}

// Return the period as parameters of a request.
export function inPeriod({ since, until }) {
  return [["since", since], ...(until ? [["until", until]] : [])];
}

function bucketFor(seconds) {
  return (ROUND.find(([size]) => seconds / size <= MOST_BUCKETS) ?? ROUND.at(-1))[1];
}

// Show which period is chosen, in the controls.
export function showPeriod() {
  const { since, until, isLive } = period();
  const chosen = isLive ? since.slice(1) : "custom";
  byId("range").querySelector(`[value="${chosen}"]`).checked = true;
  byId("custom").hidden = isLive;
  if (!isLive) fill(since, until);
}

// Call `changed()` when another period is chosen.
export function setUpPeriod(changed) {
  byId("range").addEventListener("change", ({ target }) => {
    if (target.value === "custom") return offer();
    byId("custom").hidden = true;
    changeView({ range: target.value === DEFAULT ? null : target.value, since: null, until: null });
    changed();
  });
  for (const box of boxes()) box.addEventListener("input", () => boxes()[1].setCustomValidity(""));
  byId("custom").addEventListener("submit", (event) => {
    event.preventDefault();
    const [from, to] = boxes().map((box) => new Date(box.value));
    if (!(from < to)) {
      boxes()[1].setCustomValidity("The end must be after the beginning.");
      boxes()[1].reportValidity();
      return;
    }
    changeView({ range: null, since: from.toISOString(), until: to.toISOString() });
    announce(`Records of ${period().words} are shown.`);
    changed();
  });
}

function boxes() {
  return [...byId("custom").querySelectorAll("input")];
}

// Offer to choose both ends; until that is done, what was shown stays.
function offer() {
  byId("custom").hidden = false;
  const now = Math.floor(serviceNow() / 60_000) * 60_000;
  if (!boxes().every((box) => box.value)) fill(now - 3_600_000, now);
  boxes()[0].focus();
}

function fill(...instants) {
  boxes().forEach((box, index) => {
    box.value = localText(new Date(instants[index]));
  });
}

// Return an instant as a box for a date and a time holds it: of this computer's zone, without one.
function localText(date) {
  const shifted = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 19);
}
