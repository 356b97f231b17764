// The newest records that meet the filters, page by page; and one by its id.

import { ask } from "./api.js";
import { Columns } from "./columns.js";
import { Copies } from "./copies.js";
import { showDetails } from "./details.js";
import { byId, endWaiting, make, say, showTrouble, showWaiting, table } from "./dom.js";
import { count } from "./format.js";
import { inPeriod, period } from "./period.js";
import { inStream } from "./streams.js";
import { changeView, correctView, showsLatest, view } from "./view.js";

const ROWS = ["20", "100", "500"];
const PATHS = new Set(["stats", "tail"]); // ids that cannot stand in the path, where other answers are

export class Records {
  #schema;
  #filters;
  #again;
  #columns;
  #copies;
  #cursors = []; // of the pages that were left, the one that is shown last; none: the newest
  #next = null;
  #shown = "";
  #records = [];
  #saw;
  #trace;
  #parts;

  // `again()` asks at once, because something else is to be shown; `saw(instant)` is told when the newest of all
  // records was stored; `trace` is the address of a trace, with `{trace}` for its id, or "".
  constructor(schema, filters, again, { saw, trace }) {
    this.#schema = schema;
    this.#saw = saw;
    this.#trace = trace;
    this.#filters = filters;
    this.#again = again;
    if (schema.id === null || !showsLatest()) correctView({ versions: null });
    this.#columns = new Columns(schema, (isOtherOrder) => this.#show(isOtherOrder));
    this.#copies = new Copies(schema, filters, this.#columns);
    this.#parts = {
      list: make("div", { className: "records" }),
      back: make("button", { type: "button", onclick: () => this.#turn(-1) }),
      onward: make("button", { type: "button", onclick: () => this.#turn(1) }),
      place: make("p", { className: "quiet", role: "status" }),
      rows: make("select", { onchange: () => this.#resize() }, ...ROWS.map((each) => make("option", {}, each))),
    };
    const { list, back, onward, place, rows } = this.#parts;
    rows.value = this.#rows;
    const chooser = make("details", { id: "columns" }, make("summary", {}, "Columns"), this.#columns.chooser());
    const pages = make("div", { className: "pages" }, back, onward, make("label", {}, "Rows", rows), place);
    byId("records").replaceChildren(make("div", { className: "tools" }, chooser, ...(schema.id === null ? [] : [this.#versions()]), this.#copies.element), list, pages);
    this.reset();
    byId("search").replaceChildren(...(schema.id === null ? [] : [this.#findForm()]), filters.form());
  }

  get #rows() {
    return ROWS.includes(view().rows) ? view().rows : ROWS[0];
  }

  get #id() {
    return this.#schema.id === null ? "" : (view().id ?? "");
  }

  // Begin at the newest: the filters or the time are other ones, so nothing that is shown is an answer any more.
  reset() {
    this.#cursors = [];
    this.#shown = "";
    this.#records = [];
    const { back, onward, list } = this.#parts;
    back.disabled = onward.disabled = true;
    const isOldestFirst = this.#columns.order === "asc";
    [back.textContent, onward.textContent] = isOldestFirst ? ["Older", "Newer"] : ["Newer", "Older"];
    showWaiting(list, "Looking for records …");
  }

  // Asking failed, and the section says why.
  fail() {
    endWaiting(this.#parts.list, "The records are not available.");
  }

  // Ask for the page that is looked at, and show it; an older page stays as it is. Return how many seconds the service
  // wants to be left alone.
  async refresh(signal) {
    const asked = JSON.stringify([period(), this.#filters.parameters(), this.#cursors, this.#id, this.#columns.order, this.#rows, showsLatest()]);
    if (this.#isKept && asked === this.#shown) return 0;
    const found = this.#id ? await this.#find(signal) : await this.#page(signal);
    this.#next = found.next_cursor ?? null;
    this.#records = found.records;
    endWaiting(this.#parts.list);
    this.#show();
    this.#shown = asked;
    const isNewest = !this.#id && !this.#cursors.length && !this.#filters.parameters().length && this.#columns.order === "desc";
    if (isNewest && period().isLive && found.records.length) this.#saw(found.records[0].ingest_time);
    showTrouble("records", null);
    return found.poll_after ?? 0;
  }

  // Whether what is shown is not asked for again: an older page, and latest versions, which BigQuery finds at a price.
  get #isKept() {
    return this.#cursors.length > 0 || (showsLatest() && !this.#id);
  }

  #page(signal) {
    const cursor = this.#cursors.at(-1);
    const first = showsLatest() ? [] : [...inPeriod(period()), ["order", this.#columns.order]];
    const which = cursor ? [["cursor", cursor]] : first;
    return this.#filters.ask(inStream(showsLatest() ? "state" : "records"), [...which, ["limit", this.#rows], ...this.#filters.parameters()], { signal });
  }

  // Look a record up by its id, whenever it was stored: all its versions, the newest first.
  async #find(signal) {
    if (PATHS.has(this.#id.replace(/\/+$/, "")) || !this.#id.replaceAll("/", "")) {
      const asked = [...inPeriod(period()), ["order", "desc"], ["limit", this.#rows], [this.#schema.id, this.#id]];
      return ask(inStream("records"), asked, { signal });
    }
    try {
      const { records } = await ask(inStream(`records/${encodeURIComponent(this.#id)}`), [["versions", "all"]], { signal });
      return { records };
    } catch (problem) {
      if (problem.code !== "not_found") throw problem;
      return { records: [] };
    }
  }

  #findForm() {
    const id = make("input", { type: "search", autocomplete: "off", spellcheck: false, value: this.#id });
    const form = make("form", { className: "line", role: "search", "aria-label": "Find a record" }, make("label", {}, "Find by id", id), make("button", {}, "Find"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#look(id.value);
    });
    id.addEventListener("search", () => id.value === "" && this.#id !== "" && this.#look("")); // the cross in the box
    return form;
  }

  // Let choose between all versions of records and the latest ones alone.
  #versions() {
    const choice = (value, text) => {
      const box = make("input", { type: "radio", name: "versions", value, checked: (view().versions ?? "") === value });
      box.addEventListener("change", () => {
        changeView({ versions: value || null });
        this.reset();
        this.#again();
      });
      return make("label", {}, box, make("span", {}, text));
    };
    return make("fieldset", { className: "segments" }, make("legend", { className: "unseen" }, "Which versions"), choice("", "History"), choice("latest", "Latest"));
  }

  #look(id) {
    changeView({ id: id || null });
    byId("search").querySelector("input[type=search]").value = id;
    this.reset();
    this.#again();
  }

  #resize() {
    changeView({ rows: this.#parts.rows.value === ROWS[0] ? null : this.#parts.rows.value });
    this.reset();
    this.#again();
  }

  #turn(direction) {
    if (direction > 0 && this.#next !== null) this.#cursors.push(this.#next);
    if (direction < 0) this.#cursors.pop();
    this.#again();
  }

  // Show the records of the page; if the service has to sort in another way, ask it for others.
  #show(isOtherOrder = false) {
    if (isOtherOrder) {
      this.reset();
      this.#again();
      return;
    }
    if (this.#parts.list.getAttribute("aria-busy") === "true") return; // an answer is under way
    const { list, back, onward, place } = this.#parts;
    back.disabled = this.#cursors.length === 0;
    onward.disabled = this.#next === null;
    this.#copies.show(this.#id);
    say(place, this.#isKept ? `Page ${this.#cursors.length + 1}, which is not refreshed.` : "");
    if (!this.#records.length) {
      list.replaceChildren(make("p", { className: "empty" }, this.#emptyText()));
      return;
    }
    const columns = this.#columns.shown(this.#records, (record, name) => this.#opener(record, name));
    const heads = columns.map(({ head, ...how }) => ({ text: head, ...how }));
    const isOldestFirst = this.#columns.order === "asc";
    const found = this.#id && isOldestFirst ? this.#records.toReversed() : this.#records;
    const rows = this.#columns.sorted(found).map((record) => columns.map(({ cell }) => cell(record)));
    const by = this.#columns.sortedBy;
    const what = showsLatest() ? "latest versions" : "records";
    const which = this.#id ? "All versions of the record" : `${isOldestFirst ? "Oldest" : "Newest"} ${what} first`;
    const caption = by ? `Sorted by ${by} within this page of ${count(rows.length)}` : which;
    replaceTable(list, table(caption, heads, rows, { hideCaption: !this.#id && !by }));
  }

  #opener(record, name) {
    const show = () => showDetails(this.#schema.id === null ? "Record" : name, record, this.#schema.columns, { actions: this.#actions(record) });
    return make("button", { type: "button", className: "plain", "aria-haspopup": "dialog", onclick: show }, name);
  }

  // What one may do with a record: see its other versions, and how it came here.
  #actions(record) {
    const { id } = this.#schema;
    const versions = () => {
      byId("details").close();
      this.#look(String(record[id]));
    };
    const trace = record.trace_id && this.#trace ? this.#trace.replace("{trace}", encodeURIComponent(record.trace_id)) : "";
    return [
      ...(id === null || this.#id ? [] : [make("button", { type: "button", onclick: versions }, "All versions")]),
      ...(trace ? [make("a", { href: trace, target: "_blank", rel: "noreferrer" }, "Its trace")] : []),
    ];
  }

  #emptyText() {
    if (this.#id) return `There is no record with the id ${this.#id}.`;
    if (showsLatest()) return "There is no record whose latest version is shown with these filters, at any time.";
    if (this.#filters.parameters().length) return "No record in this time matches the filters. Look further back, or remove a filter.";
    return "No record was stored in this time. Look further back, or send one.";
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
