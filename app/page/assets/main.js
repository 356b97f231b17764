// Where the page begins: it learns what the service is, and keeps what is shown fresh.

import { showAlarm, showAlarmAges } from "./alarm.js";
import { Problem, ask, askHealth, forgetKey, hasKey } from "./api.js";
import { forgetCharts, redraw } from "./chart.js";
import { troublesOf, unknownTrouble } from "./condition.js";
import { setUpDetails } from "./details.js";
import { announce, byId, make, say, showTrouble } from "./dom.js";
import { setUpEntry, showEntry, showForget } from "./entry.js";
import { Facets } from "./facets.js";
import { Filters, REFUSED } from "./filters.js";
import { ago, moment } from "./format.js";
import { showInstance } from "./instance.js";
import { Overview } from "./overview.js";
import { setUpTheme } from "./palette.js";
import { period, setUpPeriod, showPeriod } from "./period.js";
import { Readers } from "./readers.js";
import { Records } from "./records.js";
import { Refresher } from "./refresh.js";
import { Rejects } from "./rejects.js";
import { Stats } from "./stats.js";
import { findStreams, forgetStreams, inStream, knowStreams, setUpStreams } from "./streams.js";
import { setUpView } from "./view.js";

const RETRY_S = 5;
const WATCH_S = 5; // at most so long between two looks at the service's health, which cost nothing
const WATCH_PATIENCE_S = 10;
const SLACK_S = 10; // what is older than three rounds and this is old
// Where something of a stream stands, and where something else of what a key may see does.
const OF_STREAM = [
  ...["figures", "plots", "first-record", "search", "facets", "chips", "records", "stats", "stats-form", "reasons", "rejected"],
  ...["details-list", "details-actions"],
];
const OF_SERVICE = ["health", "alarm", "named-readers"];
const SECTIONS = ["overview", "records", "stats", "rejects", "readers"];
const NOTHING_SEEN = { found: null, at: 0, problem: null };

let welcome = null;
// What shows records: {overview, sections, facets, table}, of which only the first is there until the record type is
// known; null while nobody is known, or the instance serves none.
let board = null;
let isLocked = false; // a key is waited for
let health = NOTHING_SEEN; // what the service said of itself last, when, and why not since
const updated = {}; // when each section of the board was, by this computer's clock
const refresher = new Refresher(round, roundS);
// On its own: neither a slow query nor a long pause between them may hide that something is wrong.
const watcher = new Refresher(look, watchS);

function roundS() {
  return Math.max(welcome?.refresh_s ?? RETRY_S, period().leastS);
}

function watchS() {
  return Math.min(welcome?.refresh_s ?? WATCH_S, WATCH_S);
}

// Ask the service how it is, and show it.
async function look(signal) {
  try {
    const found = await askHealth(signal, WATCH_PATIENCE_S);
    health = { found, at: Date.now(), problem: null };
    showInstance(found, welcome);
    board?.overview.showWaiting(found, health.at);
  } catch (problem) {
    if (problem.name === "AbortError") return 0;
    if (!(problem instanceof Problem)) throw problem; // a mistake of the page's own: for the console
    health = { ...health, problem };
  }
  showCondition();
  return health.problem ? RETRY_S : 0;
}

// Show what is wrong, before everything else; and let no number reassure while something is, or may be.
function showCondition() {
  const { found, at, problem } = health;
  const known = found ? troublesOf(found) : [];
  const troubles = problem ? [unknownTrouble(problem, at), ...known] : known;
  const isOld = Date.now() - at > limitMs(watchS());
  showAlarm(troubles);
  showTrouble("instance", found && (problem || isOld) ? { sentence: `This was the state at ${moment(at)}; the current state is unknown.` } : null);
  if (troubles.length) settle();
  if (troubles.length) showState(troubles[0].state, troubles[0].tone);
  else if (!found) showState("Connecting", "quiet");
  else if (isOld) showState(`As of ${moment(at)}`, "warn");
  else showState("Ready", "good");
  const cause = troubles[0]?.short ?? (found && !isOld ? "" : "The state of the service is unknown");
  board?.overview.doubt(cause, troubles.some(({ stops }) => stops && stops === board.table));
}

function showState(words, tone) {
  say(byId("state"), words);
  byId("state").dataset.tone = tone;
}

function limitMs(everyS) {
  return (3 * everyS + SLACK_S) * 1000;
}

// Say anew how old everything is that is shown.
function showAges() {
  showCondition();
  showAlarmAges();
  board?.overview.showAges((name) => limitMs(name === "waiting" ? watchS() : roundS()));
  const times = board ? SECTIONS.map((section) => updated[section] ?? 0) : [health.at];
  const oldest = Math.min(...times);
  const isOld = Date.now() - oldest > limitMs(roundS());
  byId("freshness").dataset.tone = oldest && isOld ? "warn" : "";
  const age = isOld ? `, ${ago(Date.now() - oldest)}` : "";
  say(byId("freshness"), oldest ? `Updated ${moment(oldest)}${age}` : "Some data is still loading");
}

// Ask for everything once, and show it. What fails shows so in its own place, and does not stop the rest.
async function round(signal) {
  try {
    welcome ??= await ask("", [], { signal });
    knowStreams(welcome.links);
    showSections();
    if (!board?.facets && !isLocked && welcome.roles.includes("query")) {
      if (welcome.needs_key && !hasKey()) lock(null);
      else await openBoard(signal);
    }
  } catch (problem) {
    settle();
    return failed(problem);
  }
  settle();
  board?.facets.refresh();
  let waitS = 0;
  const sections = Object.entries(board?.sections ?? {});
  await Promise.all(
    sections.map(async ([name, section]) => {
      try {
        const wantedS = await section.refresh(signal);
        updated[name] = Date.now();
        waitS = Math.max(waitS, wantedS ?? 0);
      } catch (problem) {
        if (!signal.aborted) waitS = Math.max(waitS, failed(problem, name, section));
      }
      if (!signal.aborted) showAges();
    }),
  );
  return waitS;
}

// Make what shows records: the overview at once, the rest when it is known what a record is.
async function openBoard(signal) {
  board ??= { overview: new Overview(welcome, (counted) => board.sections.rejects.showReasons(counted)), sections: {}, facets: null };
  showPeriod();
  if (health.found) board.overview.showWaiting(health.found, health.at);
  showCondition();
  byId("opening").hidden = true;
  byId("board").hidden = false;
  showForget();
  await findStreams(signal);
  const { tables } = await ask(inStream("schema"), [], { signal });
  const [records, rejects] = ["records", "rejects"].map((name) => tables.find(({ path }) => path === `/${inStream(name)}`));
  const again = () => refresher.now();
  const filters = new Filters(records.columns, () => {
    board.sections.records.reset();
    again();
  });
  const { overview } = board;
  const told = { saw: (instant) => overview.sawRecord(instant), trace: welcome.trace };
  board.sections = {
    overview,
    records: new Records(records, filters, again, told),
    stats: new Stats(records, filters, again),
    rejects: new Rejects(rejects, again, welcome.roles.includes("ingest")),
    readers: new Readers(),
  };
  board.facets = new Facets(records, filters);
  board.table = records.name;
  byId("board").dataset.open = "";
  showCondition();
}

// What stands below the board is shown when the board is: it would be pushed away.
function settle() {
  document.body.dataset.settled = "";
}

// Say what went wrong where it belongs; return how many seconds to wait.
function failed(problem, name = "", section = null) {
  if (problem.name === "AbortError") return 0;
  if (!(problem instanceof Problem)) throw problem; // a mistake of the page's own: for the console
  const isTold = (problem.status === 0 && health.problem !== null) || problem.code === REFUSED; // by the banner, or a filter
  section?.fail(problem);
  if (problem.status === 401) lock(hasKey() ? problem : null);
  else if (section) showTrouble(name, isTold ? null : problem);
  else if (problem.status !== 0) showNotice(problem.sentence);
  return problem.retryAfterS || RETRY_S;
}

function showSections() {
  const serves = welcome.roles.includes("query");
  byId("problems-link").hidden = !serves || welcome.needs_key;
  if (!serves) byId("opening").hidden = true;
  showNotice(serves ? "" : "This instance stores records but serves none, because its role query is off. Its state is below.");
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
  forgetStreams();
  byId("board").hidden = byId("opening").hidden = true;
  closeBoard([...OF_STREAM, ...OF_SERVICE]); // nothing of what one key may see is shown to the next
  health = NOTHING_SEEN;
  watcher.now(); // with the rights of nobody
  showEntry(problem);
}

// Take away what shows records, with all that stands in `places`.
function closeBoard(places) {
  board = null;
  byId("details").close();
  forgetCharts();
  for (const id of places) {
    byId(id).replaceChildren();
    byId(id).removeAttribute("aria-busy");
  }
  for (const name of SECTIONS) showTrouble(name, null);
  for (const name of Object.keys(updated)) delete updated[name];
}

function setUpControls() {
  setUpTheme(byId("theme"), redraw);
  setUpDetails();
  setUpEntry(
    () => {
      isLocked = false;
      refresher.now();
      watcher.now(); // which tells more to those it knows
    },
    () => lock(null),
  );
  setUpStreams(() => {
    closeBoard(OF_STREAM);
    refresher.now();
  });
  setUpPeriod(() => {
    for (const name of Object.keys(updated)) delete updated[name];
    board?.sections.records?.reset();
    refresher.now();
    showAges();
  });
  setUpView(() => {
    if (isLocked) return;
    closeBoard(OF_STREAM);
    refresher.now();
  });
  byId("pause").addEventListener("click", () => {
    refresher.pause(!refresher.isPaused);
    watcher.pause(refresher.isPaused);
    byId("pause").setAttribute("aria-pressed", String(refresher.isPaused));
    say(byId("pause"), refresher.isPaused ? "Paused" : "Pause");
    announce(refresher.isPaused ? "Refreshing is paused." : "Refreshing has resumed.");
  });
}

setUpControls();
showPeriod();
setInterval(() => document.visibilityState === "visible" && showAges(), 1000);
refresher.now();
watcher.now();
