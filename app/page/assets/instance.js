// The state of the instance that answers: whether it can serve, and how the tables of its store take rows.

import { hereAt } from "./api.js";
import { troublesOf } from "./condition.js";
import { byId, make, say, table } from "./dom.js";
import { NONE, count, moment, span } from "./format.js";

const STORES = { embedded: "Embedded (DuckDB)", bigquery: "BigQuery" };
const ACTIVE = "ACTIVE";

// Show what the service said of itself.
export function showInstance(found, welcome) {
  const rows = Object.entries(found.sinks ?? {}).map(sinkRow);
  if (found.store?.reads) rows.push(readsRow(found.store.reads));
  const facts = [
    ["Status", troublesOf(found)[0]?.state ?? "Ready"],
    ["Store", STORES[found.store?.kind] ?? found.store?.kind],
    ["Roles", welcome?.roles.join(" and ")],
    ["System", found.system],
    ["Instance", found.instance],
    ["Version", found.version],
    ["Running for", found.uptime_s === undefined ? undefined : span(found.uptime_s)],
    ["Messages in flight", count(found.in_flight_messages ?? 0)],
  ].filter(([, text]) => text);
  show(facts, rows);
  byId("instance").hidden = false;
}

function sinkRow([name, sink]) {
  const isWell = sink.state === ACTIVE && !sink.stuck;
  const state = sink.stuck ? `${sink.state}, stuck` : sink.state;
  return [`Writing ${name}`, [state, isWell], count(sink.waiting), span(sink.oldest_wait_s), ...said(sink)];
}

function readsRow(reads) {
  return ["Reading", [reads.state, reads.state === ACTIVE], NONE, NONE, ...said(reads)];
}

// Since when it is so, and what the store said; null is what only those are told who may read.
function said({ since, detail, help }) {
  const words = [detail === null ? "Visible to callers who may read" : detail, help && `See ${help}`].filter(Boolean);
  return [since ? moment(hereAt(since)) : NONE, words.join(". ") || NONE];
}

// Make it anew only where something else is to be shown, so that nothing that is read or selected goes away.
function show(facts, rows) {
  const place = byId("health");
  const text = JSON.stringify([rows, facts.map(([name]) => name)]);
  const list = make("dl", { className: "facts" }, ...facts.map(([name, words]) => make("div", {}, make("dt", {}, name), make("dd", {}, words))));
  if (place.dataset.said === text && place.firstChild) {
    place.firstChild.querySelectorAll("dd").forEach((each, index) => say(each, facts[index][1]));
    return;
  }
  place.dataset.said = text;
  const heads = ["What", "State", { text: "Waiting", kind: "number" }, { text: "Waiting longest", kind: "number" }];
  heads.push({ text: "Since", kind: "time wide" }, { text: "Last message of the store", kind: "wide" });
  const made = rows.map(([name, [state, isWell], ...others]) => [
    name,
    make("span", { className: "pill", "data-tone": isWell ? "good" : "bad" }, state),
    ...others,
  ]);
  place.replaceChildren(list, ...(rows.length ? [table("State of the store", heads, made, { hideCaption: true })] : []));
}
