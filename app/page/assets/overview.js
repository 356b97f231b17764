// How much comes in, how late it is, and what is rejected.

import { ask, hasKey, addressOf } from "./api.js";
import { Chart } from "./chart.js";
import { announce, byId, make, say, showTrouble } from "./dom.js";
import { NONE, count, durationS, percent, rate, span } from "./format.js";

// Buckets for each time that can be looked back on: about a hundred, so that a peak still shows.
const BUCKETS = { PT15M: "PT10S", PT1H: "PT1M", P1D: "PT15M" };
const LEAST_COVERED = 0.3; // of a bucket at an edge of the window; with less, its rate says nothing
const RECENT_S = 60; // what "now" is, for a number

export class Overview {
  #figures = {};
  #welcome;
  #mayReadRejects = true;

  constructor(welcome) {
    this.#welcome = welcome;
    this.incoming = new Chart("Records stored per second", { format: (n) => `${rate(n)}/s`, tickFormat: rate });
    this.delay = new Chart("From publication to the store", {
      format: span,
      empty: "No published messages in this time. Records sent over HTTP have no delay.",
    });
    this.rejected = new Chart("Rejected, by reason", { format: count, isBars: true, empty: "Nothing was rejected in this time." });
    const cards = [this.incoming, this.delay, this.rejected].map(({ element }) => make("div", { className: "card" }, element));
    byId("plots").replaceChildren(...cards);
    const named = [
      ["incoming", "Coming in"],
      ["stored", "Stored"],
      ["delay", "Delay, 95th percentile"],
      ["rejected", "Rejected"],
      ["waiting", "Waiting longest"],
    ];
    for (const [name, title] of named) {
      const [value, note] = [make("dd", { className: "value" }, NONE), make("dd", { className: "note" })];
      this.#figures[name] = { value, note };
      byId("figures").append(make("div", {}, make("dt", {}, title), value, note));
    }
  }

  // Ask for the numbers of the last `range` (an ISO 8601 duration), and show them.
  async refresh(range, signal) {
    const bucket = BUCKETS[range];
    const window = [["since", `-${range}`], ["bucket", bucket]];
    const stored = ask("v1/records/stats", [...window, ["metric", "count,p50:delay,p95:delay"]], { signal });
    const [found, rejected] = await Promise.all([stored, this.#askRejects(window, signal)]);
    this.#showStored(found);
    this.#showRejected(rejected, found.series[0]?.records ?? 0);
    showTrouble("overview", null);
  }

  // Show how long the oldest message waits, of all tables.
  showWaiting(sinks) {
    const all = Object.values(sinks);
    const waiting = all.reduce((sum, sink) => sum + sink.waiting, 0);
    this.#tell("waiting", all.length ? span(Math.max(...all.map((sink) => sink.oldest_wait_s))) : NONE, "", waiting ? `${count(waiting)} on their way` : "Nothing waits");
  }

  async #askRejects(window, signal) {
    if (!this.#mayReadRejects) return null;
    try {
      return await ask("v1/rejects/stats", [...window, ["by", "reason"], ["part", "0"]], { signal });
    } catch (problem) {
      if (problem.code !== "insufficient_scope") throw problem;
      this.#mayReadRejects = false; // until another key is entered, which makes the page anew
      return null;
    }
  }

  #showStored(found) {
    const { times, ends, covered, bucketS } = edges(found);
    const { count: counts, "p50:delay": half, "p95:delay": most } = found.series[0]?.values ?? {};
    const none = times.map(() => null);
    const rates = (counts ?? none).map((number, at) => (covered[at] < LEAST_COVERED * bucketS ? null : number / covered[at]));
    const latest = recentRate(counts ?? [], covered);
    const highest = Math.max(0, ...rates.filter((each) => each !== null));
    this.incoming.show({
      ...{ times, window: ends },
      series: [{ label: "Records", values: rates, isFilled: true }],
      summary: `Now ${rate(latest)} a second; at most ${rate(highest)}.`,
    });
    const late = (most ?? none).findLast((each) => each !== null) ?? null;
    const typical = (half ?? none).findLast((each) => each !== null) ?? null;
    this.delay.show({
      ...{ times, window: ends },
      series: [
        { label: "Median", values: half ?? none },
        { label: "95th percentile", values: most ?? none, isDashed: true },
      ],
      summary: `Lately half of the records are stored within ${span(typical)}, 95 of 100 within ${span(late)}.`,
    });
    const total = found.series[0]?.records ?? 0;
    this.#tell("incoming", rate(latest), "/s", `Highest ${rate(highest)}/s`);
    this.#showFirstSteps(total === 0);
    this.#tell("stored", count(total), "", total === 1 ? "record in this time" : "records in this time");
    this.#tell("delay", span(late), "", typical === null ? "No published messages" : `Median ${span(typical)}`);
  }

  #showRejected(found, stored) {
    if (found === null) {
      this.#tell("rejected", NONE, "", "Needs the scope rejects");
      this.rejected.element.parentElement.hidden = true;
      return;
    }
    const { times, ends } = edges(found);
    const series = found.series.map(({ key, values, records }) => ({
      label: key.replaceAll("_", " "),
      values: values.count,
      whole: records,
    }));
    const total = found.series.reduce((sum, { records }) => sum + records, 0);
    const reasons = found.series.map(({ key, records }) => `${key.replaceAll("_", " ")} ${records}`).join(", ");
    this.rejected.show({ times, window: ends, series, summary: `${total} rejected: ${reasons}.` });
    const share = total ? `${percent(total / (total + stored))} of all` : "Everything was taken";
    this.#tell("rejected", count(total), "", share);
  }

  // Tell a newcomer how to store a first record.
  #showFirstSteps(isEmpty) {
    const place = byId("first-record");
    place.hidden = !isEmpty || !this.#welcome.roles.includes("ingest");
    if (place.hidden || place.childElementCount) return;
    const words = ["curl", `'${addressOf("v1/records")}'`, ...(hasKey() ? ['-H "Authorization: Bearer $KEY"'] : []), "-H 'Content-Type: application/json'"];
    const record = JSON.stringify(this.#welcome.example).replaceAll("'", "'\\''");
    const command = `${words.join(" ")} \\\n  -d '${record}'`;
    const copy = make("button", { type: "button", onclick: () => copied(command, copy) }, "Copy");
    place.append(
      make("h3", {}, "No records in this time"),
      make("p", {}, "What is published to the Pub/Sub topic turns up here by itself. To store a first record without it, send one from a terminal:"),
      make("pre", { tabIndex: 0, role: "region", "aria-label": "The command" }, make("code", {}, command)),
      copy,
    );
  }

  #tell(name, value, unit, note) {
    const figure = this.#figures[name];
    if (figure.value.dataset.said !== value + unit) {
      figure.value.dataset.said = value + unit;
      figure.value.replaceChildren(value, ...(unit && value !== NONE ? [make("small", {}, unit)] : []));
    }
    say(figure.note, note);
  }
}

// Return when buckets begin, the ends of the window, and how many seconds of each bucket lie in it.
export function edges({ buckets, bucket, window }) {
  const bucketS = durationS(bucket);
  const times = buckets.map((start) => Date.parse(start) / 1000);
  const ends = [Date.parse(window.since) / 1000, Date.parse(window.until) / 1000];
  const covered = times.map((start) => Math.min(start + bucketS, ends[1]) - Math.max(start, ends[0]));
  return { times, ends, covered, bucketS };
}

// Return the rate of about the last minute.
function recentRate(counts, covered) {
  let [records, seconds] = [0, 0];
  for (let at = counts.length - 1; at >= 0 && seconds < RECENT_S; at -= 1) {
    records += counts[at];
    seconds += covered[at];
  }
  return seconds > 0 ? records / seconds : 0;
}

async function copied(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    say(button, "Copied");
    announce("The command is copied.");
  } catch {
    announce("The browser does not let the page copy. Select the command instead.");
  }
}
