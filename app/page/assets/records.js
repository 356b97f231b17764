// The newest records that meet the filters, page by page; and one by its id.

import { ask } from "./api.js";
import { showDetails } from "./details.js";
import { byId, endWaiting, make, say, showTrouble, showWaiting, table } from "./dom.js";
import { moment, value } from "./format.js";
import { inStream } from "./streams.js";

const PAGE = "20";
const MOST_COLUMNS = 3; // of the record's own, besides its id and a preview of JSON
const PATHS = new Set(["stats", "tail"]); // ids that cannot stand in the path, where other answers are

export class Records {
  #schema;
  #filters;
  #again;
  #cursors = []; // of the pages that were left, the one that is shown last; none: the newest
  #next = null;
  #id = "";
  #shown = "";
  #saw;
  #parts;

  // `again()` asks at once, because something else is to be shown; `saw(instant)` is told when the newest of all
  // records was stored.
  constructor(schema, filters, again, saw) {
    this.#schema = schema;
    this.#saw = saw;
    this.#filters = filters;
    this.#again = again;
    this.#parts = {
      list: make("div", { className: "records" }),
      newer: make("button", { type: "button", onclick: () => this.#turn(-1) }, "Newer"),
      older: make("button", { type: "button", onclick: () => this.#turn(1) }, "Older"),
      place: make("p", { className: "quiet", role: "status" }),
    };
    const { list, newer, older, place } = this.#parts;
    byId("records").replaceChildren(list, make("div", { className: "pages" }, newer, older, place));
    this.reset();
    byId("search").replaceChildren(...(schema.id === null ? [] : [this.#findForm()]), filters.form());
  }

  // Begin at the newest: the filters or the time are other ones, so nothing that is shown is an answer any more.
  reset() {
    this.#cursors = [];
    this.#shown = "";
    this.#parts.newer.disabled = this.#parts.older.disabled = true;
    showWaiting(this.#parts.list, "Looking for records …");
  }

  // Asking failed, and the section says why.
  fail() {
    endWaiting(this.#parts.list, "The records are not available.");
  }

  // Ask for the page that is looked at, and show it; an older page stays as it is. Return how many seconds the service
  // wants to be left alone.
  async refresh(range, signal) {
    const asked = JSON.stringify([range, this.#filters.parameters, this.#cursors, this.#id]);
    if (this.#cursors.length && asked === this.#shown) return 0;
    const found = this.#id ? await this.#find(range, signal) : await this.#page(range, signal);
    this.#next = found.next_cursor ?? null;
    endWaiting(this.#parts.list);
    this.#show(found.records);
    this.#shown = asked;
    const isNewest = !this.#id && !this.#cursors.length && !this.#filters.parameters.length;
    if (isNewest && found.records.length) this.#saw(found.records[0].ingest_time);
    showTrouble("records", null);
    return found.poll_after ?? 0;
  }

  #page(range, signal) {
    const place = this.#cursors.length ? [["cursor", this.#cursors.at(-1)]] : [["since", `-${range}`], ["order", "desc"]];
    return ask(inStream("records"), [...place, ["limit", PAGE], ...this.#filters.parameters], { signal });
  }

  async #find(range, signal) {
    if (PATHS.has(this.#id.replace(/\/+$/, "")) || !this.#id.replaceAll("/", "")) {
      return ask(inStream("records"), [["since", `-${range}`], ["order", "desc"], ["limit", PAGE], [this.#schema.id, this.#id]], { signal });
    }
    try {
      const found = await ask(inStream(`records/${encodeURIComponent(this.#id)}`), [["versions", "all"]], { signal });
      return { records: found.records };
    } catch (problem) {
      if (problem.code !== "not_found") throw problem;
      return { records: [] };
    }
  }

  #findForm() {
    const id = make("input", { type: "search", name: "id", autocomplete: "off", spellcheck: false });
    const form = make("form", { className: "line", role: "search", "aria-label": "Find a record" }, make("label", {}, "Find by id", id), make("button", {}, "Find"));
    const find = () => {
      this.#id = id.value;
      this.reset();
      this.#again();
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      find();
    });
    id.addEventListener("search", () => id.value === "" && this.#id !== "" && find()); // the cross in the box
    return form;
  }

  #turn(direction) {
    if (direction > 0 && this.#next !== null) this.#cursors.push(this.#next);
    if (direction < 0) this.#cursors.pop();
    this.#again();
  }

  #show(records) {
    const { list, newer, older, place } = this.#parts;
    newer.disabled = this.#cursors.length === 0;
    older.disabled = this.#next === null;
    say(place, this.#cursors.length ? `Page ${this.#cursors.length + 1}, which is not refreshed.` : "");
    if (!records.length) {
      list.replaceChildren(make("p", { className: "empty" }, this.#emptyText()));
      return;
    }
    const columns = this.#columns();
    const heads = columns.map(({ head, kind }) => ({ text: head, kind }));
    const rows = records.map((record) => columns.map(({ cell }) => cell(record)));
    const caption = this.#id ? "All versions of the record, newest first" : "Newest records first";
    replaceTable(list, table(caption, heads, rows, { hideCaption: !this.#id }));
  }

  #emptyText() {
    if (this.#id) return `There is no record with the id ${this.#id}.`;
    if (this.#filters.parameters.length) return "No record in this time matches the filters. Look further back, or remove a filter.";
    return "No record was stored in this time. Look further back, or send one.";
  }

  #columns() {
    const own = this.#schema.columns.filter(({ path, is_added: isAdded }) => !isAdded && !path.includes("."));
    const isPlain = ({ type, is_id: isId }) => !isId && type !== "JSON" && type !== "STRUCT";
    const isTime = ({ type }) => type === "TIMESTAMP"; // narrow screens have room for the first one only
    const plain = own.filter(isPlain).sort((a, b) => isTime(a) - isTime(b)).slice(0, MOST_COLUMNS);
    const preview = own.find(({ type }) => type === "JSON" || type === "STRUCT");
    const { id } = this.#schema;
    const open = (record) => {
      const named = id === null ? moment(record.ingest_time) : value(record[id]);
      const show = () => showDetails(id === null ? "Record" : named, record, this.#schema.columns);
      return make("button", { type: "button", className: "plain", "aria-haspopup": "dialog", onclick: show }, named);
    };
    return [
      { head: id ?? "Stored", kind: id === null ? "time" : "", cell: open },
      ...(id === null ? [] : [{ head: "Stored", kind: "time", cell: (record) => moment(record.ingest_time) }]),
      ...plain.map(({ path, type }, index) => ({
        head: path,
        kind: index === 0 ? "" : "wide",
        cell: (record) => (type === "TIMESTAMP" && record[path] ? moment(record[path]) : value(record[path])),
      })),
      ...(preview ? [{ head: preview.path, kind: "preview wide", cell: (record) => value(record[preview.path]) }] : []),
    ];
  }
}

// Put a table in the place of the one before, and leave the focus on the row that had it, and the table where it is
// scrolled to.
export function replaceTable(place, made) {
  const focused = document.activeElement;
  const buttons = [...place.querySelectorAll("button")];
  const at = buttons.indexOf(focused);
  const text = focused?.textContent;
  const region = place.querySelector(".scroll");
  if (region === null) place.replaceChildren(made);
  else {
    region.setAttribute("aria-label", made.getAttribute("aria-label"));
    region.replaceChildren(made.firstChild);
  }
  if (at < 0) return;
  const now = [...place.querySelectorAll("button")];
  (now.find((button) => button.textContent === text) ?? now[Math.min(at, now.length - 1)])?.focus();
}
