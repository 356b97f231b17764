// Where the page begins: it learns what the service is, and keeps what is shown fresh.

import { ask, forgetKey, hasKey } from "./api.js";
import { forgetCharts, redraw } from "./chart.js";
import { setUpDetails } from "./details.js";
import { announce, byId, make, say, showTrouble } from "./dom.js";
import { setUpEntry, showEntry, showForget } from "./entry.js";
import { Filters } from "./filters.js";
import { moment } from "./format.js";
import { refreshInstance, showState } from "./instance.js";
import { Overview } from "./overview.js";
import { setUpTheme } from "./palette.js";
import { Records } from "./records.js";
import { Refresher } from "./refresh.js";
import { Rejects } from "./rejects.js";
import { Stats } from "./stats.js";

// What a longer time costs to count is asked for less often: seconds between rounds, at least.
const LEAST_S = { PT15M: 0, PT1H: 5, P1D: 30 };
const RETRY_S = 5;
// Where something of what a key may see stands.
const SHOWN = [
  "figures", "plots", "records", "search", "chips", "stats", "stats-form", "rejected", "first-record", "details-list",
];

let welcome = null;
let board = null; // what shows records; null while nobody is known, or the instance serves none
let isLocked = false; // a key is waited for
const refresher = new Refresher(round, () => Math.max(welcome?.refresh_s ?? RETRY_S, LEAST_S[range()]));

function range() {
  return document.querySelector("#range input:checked").value;
}

// Ask for everything once, and show it. What fails shows so in its own place, and does not stop the rest.
async function round(signal) {
  try {
    welcome ??= await ask("");
    showSections();
    if (board === null && !isLocked && welcome.roles.includes("query")) {
      if (welcome.needs_key && !hasKey()) lock(null);
      else await openBoard(signal);
    }
  } catch (problem) {
    return failed(problem);
  }
  const work = [["instance", refreshInstance(welcome, signal)], ...(board ? board.refresh(range(), signal) : [])];
  const answers = await Promise.allSettled(work.map(([, asking]) => asking));
  if (signal.aborted) return 0;
  let waitS = 0;
  answers.forEach(({ status, value, reason }, index) => {
    const [section] = work[index];
    if (status === "rejected") waitS = Math.max(waitS, failed(reason, section));
    else if (section === "instance") board?.overview.showWaiting(value.sinks ?? {});
    else waitS = Math.max(waitS, value ?? 0);
  });
  if (answers.some(({ status }) => status === "fulfilled")) say(byId("freshness"), `Updated ${moment(Date.now())}`);
  return waitS;
}

// Make what shows records, once it is known what a record is.
async function openBoard(signal) {
  const { tables } = await ask("v1/schema", [], { signal });
  const [records, rejects] = ["/v1/records", "/v1/rejects"].map((path) => tables.find((table) => table.path === path));
  const again = () => refresher.now();
  const filters = new Filters(records.columns, () => {
    board.records.reset();
    again();
  });
  const overview = new Overview(welcome);
  board = {
    overview,
    records: new Records(records, filters, again),
    stats: new Stats(records, filters, again),
    rejects: new Rejects(rejects),
    refresh: (time, asking) => [
      ["overview", overview.refresh(time, asking)],
      ["records", board.records.refresh(time, asking)],
      ["stats", board.stats.refresh(time, asking)],
      ["rejects", board.rejects.refresh(time, asking)],
    ],
  };
  byId("board").hidden = false;
  showForget();
}

// Say what went wrong where it belongs; return how many seconds to wait.
function failed(problem, section = "") {
  if (problem.name === "AbortError") return 0;
  if (problem.sentence === undefined) throw problem; // a mistake of the page's own: for the console
  if (problem.status === 401) {
    lock(hasKey() ? problem : null);
  } else if (problem.status === 0) {
    showState("No answer", "bad");
    showNotice(problem.sentence);
  } else if (section) {
    showTrouble(section, problem);
  } else {
    showNotice(problem.sentence);
  }
  return problem.retryAfterS || RETRY_S;
}

function showSections() {
  const serves = welcome.roles.includes("query");
  byId("instance").hidden = false;
  byId("problems-link").hidden = !serves || welcome.needs_key;
  showNotice(serves ? "" : "This instance takes records in, and serves none: its role query is off. Its state is below.");
}

function showNotice(text) {
  const place = byId("notice");
  place.hidden = text === "";
  if (place.textContent !== text) place.replaceChildren(...(text ? [make("p", {}, text)] : []));
}

// Forget who was asking, with all that was shown, and ask for a key; `problem` is what was wrong with the last one.
function lock(problem) {
  isLocked = true;
  refresher.stop(); // or its answer would be shown after the clearing
  forgetKey();
  board = null;
  byId("board").hidden = true;
  byId("details").close();
  forgetCharts();
  for (const id of SHOWN) {
    byId(id).replaceChildren(); // nothing of what one key may see is shown to the next
  }
  showEntry(problem);
}

function setUpControls() {
  setUpTheme(byId("theme"), redraw);
  setUpDetails();
  setUpEntry(
    () => {
      isLocked = false;
      refresher.now();
    },
    () => lock(null),
  );
  byId("range").addEventListener("change", () => {
    board?.records.reset();
    refresher.now();
  });
  byId("pause").addEventListener("click", () => {
    refresher.pause(!refresher.isPaused);
    byId("pause").setAttribute("aria-pressed", String(refresher.isPaused));
    say(byId("pause"), refresher.isPaused ? "Paused" : "Pause");
    announce(refresher.isPaused ? "Nothing is refreshed until you go on." : "The page is refreshed again.");
  });
}

setUpControls();
refresher.now();
