// How much comes in, how late it is, and what is rejected.

import { ask, hereAt, serviceNow } from "./api.js";
import { Chart } from "./chart.js";
import { byId, make, showTrouble } from "./dom.js";
import { Figures } from "./figures.js";
import { showFirstSteps } from "./first-steps.js";
import { NONE, ago, count, durationS, moment, percent, rate, span } from "./format.js";
import { inPeriod, period } from "./period.js";
import { WHY_NO_REJECTS } from "./rejects.js";
import { inStream, isDefaultStream } from "./streams.js";

const RECENT_S = 60; // what "now" is, for a number
const FINE = "PT10S"; // buckets that tell the last minute from the one before
const RECENT = [["since", "-PT2M"], ["bucket", FINE], ["metric", "count"]];
const RANGED = ["stored", "delay", "rejected"]; // what depends on how far back one looks

export class Overview {
  #figures;
  #welcome;
  #words = ""; // what the numbers are of
  #stored = null; // records in the period; null while that is not known
  #rejects = null;
  #last = null; // between which times of the service the last record was stored
  #cause = "";
  #whyNoRejects = "";

  #countedRejects;

  // `countedRejects(counted)` is told the reasons of the period's rejects, with their numbers.
  constructor(welcome, countedRejects) {
    this.#welcome = welcome;
    this.#countedRejects = countedRejects;
    this.incoming = new Chart("Records stored", { format: count });
    this.delay = new Chart("From publication to the store", {
      format: span,
      empty: "No published messages in this time. Records sent over HTTP have no delay.",
    });
    this.rejected = new Chart("Rejected, by reason", { format: count, empty: "No reject was stored in this time." });
    const cards = [this.incoming, this.delay, this.rejected].map(({ element }) => make("div", { className: "card" }, element));
    byId("plots").replaceChildren(...cards);
    byId("figures").replaceChildren();
    this.#figures = new Figures(byId("figures"), [
      ["incoming", "Storing"],
      ["stored", "Stored"],
      ["delay", "Delay, 95th percentile"],
      ["rejected", "Rejected"],
      ["waiting", "Waiting in this instance"],
    ]);
    this.wait(period().words);
  }

  // What is shown is of another time than the one that is asked for now: take it away.
  wait(time) {
    const words = `Counting ${time}`;
    this.#stored = this.#rejects = null;
    this.#figures.wait(RANGED, words);
    for (const chart of [this.incoming, this.delay, this.rejected]) chart.wait(`${words} …`);
    byId("first-record").hidden = true;
  }

  // Ask for the numbers of the period, and show each as it comes.
  async refresh(signal) {
    const { words, bucket, ...window } = period();
    if (words !== this.#words) this.wait(words);
    this.#words = words;
    const asked = [...inPeriod(window), ["bucket", bucket]];
    const stored = ask(inStream("records/stats"), [...asked, ["metric", "count,p50:delay,p95:delay"]], { signal });
    // The rate of the last minute is of fine buckets, however coarse those of the plot are.
    const isFine = window.isLive && bucket === FINE;
    const recent = isFine ? stored : ask(inStream("records/stats"), RECENT, { signal });
    const ended = await Promise.allSettled([
      this.#part(["stored", "delay"], [this.incoming, this.delay], stored.then((found) => this.#showStored(found))),
      this.#part(["incoming"], [], recent.then((found) => this.#showRate(found))),
      this.#part(["rejected"], [this.rejected], this.#refreshRejected(asked, signal)),
    ]);
    const problem = ended.find(({ status }) => status === "rejected")?.reason;
    if (problem) throw problem;
    showTrouble("overview", null);
  }

  // Show how much waited in this instance at a time, by what the service said of its `health`. What waits in Pub/Sub is
  // not visible from here.
  showWaiting({ sinks = {} }, at) {
    const all = Object.values(sinks);
    if (!all.length) {
      const words = () => "This instance does not write";
      this.#figures.tell("waiting", NONE, "", words, words, at);
      return;
    }
    const waiting = all.reduce((sum, sink) => sum + sink.waiting, 0);
    const longest = waiting ? `Longest ${span(Math.max(...all.map((sink) => sink.oldest_wait_s)))}` : "";
    this.#figures.tell(
      ...["waiting", count(waiting), waiting === 1 ? "message" : "messages"],
      () => longest,
      () => "Refused messages wait in Pub/Sub, whose queue is not visible from here",
      at,
    );
  }

  // Something is wrong with the service, or with what the page knows of it; "": all is well. `isStopped`: no records are
  // stored, so the rate of the last minute says nothing of now.
  doubt(cause, isStopped) {
    this.#cause = cause;
    this.#figures.doubt(cause, isStopped ? ["incoming"] : []);
    this.#showFirstSteps();
  }

  showAges(limitMs) {
    this.#figures.showAges(limitMs);
  }

  // A record was stored at `instant`, of all records.
  sawRecord(instant) {
    const at = Date.parse(instant);
    if (this.#last === null || at >= this.#last.from) this.#last = { from: at, to: at };
    this.#figures.showAges();
  }

  // What was asked for failed: each part has said so in its place.
  fail() {}

  async #part(names, charts, asking) {
    try {
      await asking;
    } catch (problem) {
      if (problem.name !== "AbortError") {
        this.#figures.fail(names, `Not available: ${problem.message}`);
        for (const chart of charts) chart.fail(`Not available: ${problem.message}.`);
      }
      throw problem;
    }
  }

  async #refreshRejected(asked, signal) {
    if (!this.#whyNoRejects) {
      try {
        this.#showRejected(await ask(inStream("rejects/stats"), [...asked, ["by", "reason"], ["part", "0"]], { signal }));
        return;
      } catch (problem) {
        if (!(problem.code in WHY_NO_REJECTS)) throw problem;
        this.#whyNoRejects = WHY_NO_REJECTS[problem.code]; // until another key is entered, which makes the page anew
      }
    }
    this.#figures.tell("rejected", NONE, "", () => this.#whyNoRejects);
    this.rejected.element.parentElement.hidden = true;
  }

  #showRate(found) {
    const latest = recentRate(found);
    const words = () => `in the last minute; ${this.#lastText()}`;
    this.#figures.tell("incoming", rate(latest), "/s", words, (cause) => `${cause}; ${this.#lastText("last known record")}`);
  }

  #lastText(what = "last record") {
    if (this.#last === null) return this.#stored === 0 ? `no record in ${this.#words}` : `${what} not known`;
    const { from, to } = this.#last;
    if (to - from <= 15_000) return `${what} ${ago(serviceNow() - from)}`;
    return `${what} between ${moment(hereAt(from))} and ${moment(hereAt(to))}`;
  }

  #showStored(found) {
    const { times, until, bucketS } = edges(found);
    const { count: counts = [], "p50:delay": half, "p95:delay": most } = found.series[0]?.values ?? {};
    const none = times.map(() => null);
    const total = found.series[0]?.records ?? 0;
    this.incoming.show({
      ...{ times, bucketS, isCounted: true },
      series: [{ label: "Records", values: counts, whole: total }],
      summary: `${count(total)} records, at most ${count(Math.max(0, ...counts))} in ${span(bucketS)}.`,
    });
    const at = (most ?? none).findLastIndex((each) => each !== null);
    const [late, typical] = at < 0 ? [null, null] : [most[at], half[at]];
    this.delay.show({
      ...{ times, bucketS },
      series: [
        { label: "Median", values: half ?? none },
        { label: "95th percentile", values: most ?? none, isDashed: true },
      ],
      summary: `Recently half of the records were stored within ${span(typical)}, 95 of 100 within ${span(late)}.`,
    });
    this.#stored = total;
    this.#noteLast(counts, times, until, bucketS);
    this.#figures.tell("stored", count(total), "", () => (total === 1 ? "record in this time" : "records in this time"));
    // Of the last time in which something came, which may be long ago.
    const isNow = at >= 0 && serviceNow() / 1000 - times[at] < RECENT_S + bucketS;
    const when = isNow || at < 0 ? "" : `, at ${moment(hereAt(times[at] * 1000))}`;
    this.#figures.tell(
      ...["delay", span(late), ""],
      () => (typical === null ? "No published messages in this time" : `Median ${span(typical)}${when}`),
      () => "Stored messages only; waiting ones are not counted",
    );
    this.#tellRejected();
    this.#showFirstSteps();
  }

  // Remember when the last record came, as exactly as buckets tell, where nothing more exact is known.
  #noteLast(counts, times, end, bucketS) {
    const at = counts.findLastIndex((number) => number > 0);
    if (at < 0) return;
    const [from, to] = [times[at] * 1000, Math.min(times[at] + bucketS, end) * 1000];
    if (this.#last === null || this.#last.to < from) this.#last = { from, to };
  }

  #showRejected(found) {
    const { times, bucketS } = edges(found);
    const series = found.series.map(({ key, values, records }) => ({
      label: key.replaceAll("_", " "),
      values: values.count,
      whole: records,
    }));
    const total = found.series.reduce((sum, { records }) => sum + records, 0);
    const reasons = found.series.map(({ key, records }) => `${key.replaceAll("_", " ")} ${records}`).join(", ");
    this.rejected.show({ times, bucketS, series, summary: `${total} rejected: ${reasons}.`, isCounted: true });
    this.#rejects = total;
    this.#countedRejects(found.series.map(({ key, records }) => [key, records]));
    this.#tellRejected();
  }

  #tellRejected() {
    const [total, stored] = [this.#rejects, this.#stored];
    if (total === null) return;
    const share = stored === null ? "in this time" : `${percent(total / (total + stored))} of all`;
    const none = (cause) => `None stored, but ${cause.charAt(0).toLowerCase()}${cause.slice(1)}`;
    if (total) this.#figures.tell("rejected", count(total), "", () => share);
    else this.#figures.tell("rejected", "0", "", () => "none in this time", none);
  }

  // Tell a newcomer how to store a first record, where there is none and nothing is wrong.
  #showFirstSteps() {
    const isFor = this.#stored === 0 && this.#cause === "" && this.#welcome.roles.includes("ingest") && isDefaultStream();
    showFirstSteps(isFor ? this.#welcome : null);
  }
}

// Return when buckets begin, their length, and the end of the window, in seconds.
export function edges({ buckets, bucket, window }) {
  const times = buckets.map((start) => Date.parse(start) / 1000);
  return { times, bucketS: durationS(bucket), until: Date.parse(window.until) / 1000 };
}

// Return the rate of about the last minute; the last bucket is still filling.
function recentRate(found) {
  const { times, until } = edges(found);
  const from = times.findLastIndex((start) => until - start >= RECENT_S);
  const counts = (found.series[0]?.values.count ?? []).slice(Math.max(from, 0));
  return counts.reduce((sum, number) => sum + number, 0) / (until - (times[from] ?? times[0]) || 1);
}
