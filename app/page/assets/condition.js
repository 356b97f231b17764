// What is wrong with the service, from what `/health/ready` says, in words for people. A state whose name is not known
// here is a trouble all the same: only ACTIVE is none.

import { asSentence } from "./api.js";

const ACTIVE = "ACTIVE";
const REJECTS = /_rejected$/;
const KEPT =
  "Nothing that was acknowledged is lost: Pub/Sub keeps unacknowledged messages and delivers them again. HTTP clients get an error and must send again.";
const WRITING = {
  NOT_FOUND: "The table, its dataset or its project is not where the service looks for it.",
  PERMISSION_DENIED: "The store refuses the service’s identity.",
  COLUMNS_PENDING: "The table lacks an optional column of the record type. Only records that use it wait.",
  SCHEMA_MISMATCH: "The table does not fit the record type that is deployed.",
  QUOTA_EXHAUSTED: "The store’s quota for appends is exhausted. It usually recovers within minutes.",
  UNREACHABLE: "The store does not answer appends.",
  CLOCK_WRONG: "The time of day of this instance jumped. A jump that lasts is accepted after 15 seconds.",
  DISK_FULL: "The disk of the store is full or nearly full.",
  FILE_MISSING: "The store’s file was deleted, moved or replaced. Do not stop the service before the file is put back.",
};
const READING = {
  UNREACHABLE: "The store does not answer queries.",
  BUSY: "The store is not accepting more queries.",
  SLOW: "Several queries in a row timed out.",
};
const STATUS = {
  starting: ["Starting", "This instance is starting", "It has no keys yet to verify tokens, so it refuses pushes. Pub/Sub delivers them again."],
  draining: ["Shutting down", "This instance is shutting down", "It completes the requests in flight and accepts no new ones. Other instances may be healthy."],
};
const UNKNOWN = "This page does not know the reported state; see the run-book.";

// Return the troubles, the worst first: {title, state, short, words, since, detail, help, tone, stops}. `short` fits into
// a tile; `since`, `detail` and `help` are as the service says them, or null; `stops` is the table that takes no rows.
export function troublesOf(health) {
  const sinks = Object.entries(health.sinks ?? {}).flatMap(([name, sink]) => writing(name, sink));
  const reads = health.store?.reads;
  const reading = reads && reads.state !== ACTIVE ? [readingTrouble(reads)] : [];
  return [...sinks, ...reading, ...statusTrouble(health)];
}

function writing(table, sink) {
  if (sink.state === ACTIVE && !sink.stuck) return [];
  const isRejects = REJECTS.test(table);
  const state = sink.state === ACTIVE ? "stuck" : sink.state;
  const why = sink.state === ACTIVE ? "" : (WRITING[sink.state] ?? UNKNOWN);
  const stuck = sink.stuck ? "Messages have waited too long without any answer from the store, so the liveness probe fails and the platform replaces this instance." : "";
  const isStopped = why !== UNKNOWN && state !== "COLUMNS_PENDING"; // what an unknown state stops, nobody here knows
  const words = [why, stuck, isStopped ? effect(isRejects) : KEPT].filter(Boolean).join(" ");
  const short = `Writing ${isRejects ? "rejects " : ""}is ${state}`;
  return [{ title: `Writing ${table}: ${state}`, state, short, words, ...said(sink), tone: "bad", stops: isStopped ? table : null }];
}

function effect(isRejects) {
  if (isRejects) return "Messages with a bad record cannot be acknowledged and are delivered again; other messages are stored.";
  return `Nothing is stored in this table. ${KEPT}`;
}

function readingTrouble(reads) {
  const words = `${READING[reads.state] ?? UNKNOWN} Readers get errors; records are still stored. Numbers on this page may be outdated or missing.`;
  return { title: `Reading: ${reads.state}`, state: reads.state, short: `Reading is ${reads.state}`, words, ...said(reads), tone: "bad" };
}

function statusTrouble({ status }) {
  if (status === "ready") return [];
  const [state, title, words] = STATUS[status] ?? [status, `This instance is ${status}`, UNKNOWN];
  return [{ title, state, short: title, words, since: null, detail: null, help: null, tone: "warn" }];
}

function said({ since = null, detail = null, help = null }) {
  return { since, detail, help };
}

// Return the trouble that nobody knows how the service is: `problem` is why, `at` when it was known last (or 0).
export function unknownTrouble(problem, at) {
  const isGone = problem.status === 0;
  const title = isGone ? "The service does not answer" : "The service does not report its state";
  const words = [isGone ? problem.document.detail : problem.sentence, at ? "The data below is outdated." : ""];
  return {
    ...{ title, state: "No answer", short: "The service does not answer", detail: null, help: null, tone: "bad" },
    words: words.filter(Boolean).map(asSentence).join(" "),
    since: at ? new Date(at).toISOString() : null,
    isHere: true, // its time is this computer's
  };
}
