// Which columns of a record are shown, what stands in their cells, and how they sort.

import { make } from "./dom.js";
import { moment, value } from "./format.js";
import { changeView, correctView, view } from "./view.js";

const STORED = "ingest_time"; // by which the service itself sorts
const MOST = 3; // of the record's own that are shown if nobody chose, besides its id and a preview of JSON
const NUMBERS = new Set(["INT64", "FLOAT64", "NUMERIC"]);

export class Columns {
  #schema;
  #offered; // what may be chosen: not the first column, which is always shown
  #changed;

  // `changed(isOtherOrder)` is called when there are other columns, or they sort in another way.
  constructor(schema, changed) {
    this.#schema = schema;
    this.#changed = changed;
    const lists = schema.columns.filter(({ mode }) => mode === "REPEATED").map(({ path }) => `${path}.`);
    const isInList = (path) => lists.some((list) => path.startsWith(list));
    this.#offered = schema.columns.filter(({ path }) => path !== this.#first && !isInList(path));
    const known = this.#offered.map(({ path }) => path);
    const { columns, sort } = view();
    if (columns?.some((path) => !known.includes(path))) correctView({ columns: columns.filter((path) => known.includes(path)) });
    if (sort !== null && ![this.#first, ...known].includes(sort.replace(/^-/, ""))) correctView({ sort: null });
  }

  get #first() {
    return this.#schema.id ?? STORED;
  }

  // Return how the service is to sort.
  get order() {
    return view().sort === STORED ? "asc" : "desc";
  }

  // Return by which column the records of a page are sorted among themselves, or "": as the service sorts them.
  get sortedBy() {
    const path = view().sort?.replace(/^-/, "") ?? STORED;
    return path === STORED ? "" : path;
  }

  // Return the columns that somebody chose, or null.
  get chosen() {
    return view().columns === null ? null : [this.#first, ...view().columns];
  }

  // Return the records of a page in the order that was asked for.
  sorted(records) {
    const by = this.#offered.find(({ path }) => path === this.sortedBy) ?? this.#schema.columns.find(({ path }) => path === this.sortedBy);
    if (by === undefined) return records;
    const sign = view().sort.startsWith("-") ? -1 : 1;
    const compare = NUMBERS.has(by.type) ? (one, other) => Number(one) - Number(other) : byText;
    const withKeys = records.map((record) => [at(record, by.path), record]);
    return withKeys.sort(([one], [other]) => nullsLast(one, other) ?? sign * compare(one, other)).map(([, record]) => record);
  }

  // Return the columns of the table: {head, kind, sort, onSort, cell}; `open(record, name)` makes what opens a record.
  shown(open) {
    const named = (record) => open(record, this.#schema.id === null ? moment(record[STORED]) : value(record[this.#schema.id]));
    const first = { ...this.#head(this.#first), kind: this.#schema.id === null ? "time" : "", cell: named };
    return [first, ...(view().columns === null ? this.#usual() : this.#chosen())];
  }

  // Return the boxes by which columns are chosen.
  chooser() {
    const boxes = this.#offered.map(({ path }) => {
      const box = make("input", { type: "checkbox", value: path, checked: this.#isShown(path), onchange: () => this.#choose(boxes) });
      return box;
    });
    const usual = make("button", { type: "button", onclick: () => this.#reset(boxes) }, "The usual ones");
    const list = boxes.map((box) => make("label", {}, box, box.value));
    return make("fieldset", { className: "boxes" }, make("legend", {}, `Besides ${this.#first === STORED ? "the time" : this.#first}`), ...list, usual);
  }

  #isShown(path) {
    return view().columns === null ? this.#usualPaths().includes(path) : view().columns.includes(path);
  }

  #choose(boxes) {
    changeView({ columns: boxes.filter(({ checked }) => checked).map((box) => box.value) });
    this.#changed(false);
  }

  #reset(boxes) {
    changeView({ columns: null });
    for (const box of boxes) box.checked = this.#isShown(box.value);
    this.#changed(false);
  }

  #chosen() {
    return view().columns.map((path) => {
      const { type } = this.#offered.find((column) => column.path === path);
      const kind = NUMBERS.has(type) ? "number" : type === "JSON" || type === "STRUCT" ? "preview" : "";
      return { ...this.#head(path), kind, cell: (record) => text(at(record, path), type) };
    });
  }

  #usual() {
    return this.#usualPaths().map((path, index) => {
      const { type } = this.#offered.find((column) => column.path === path);
      const isPreview = type === "JSON" || type === "STRUCT";
      const isFirst = index === (this.#schema.id === null ? 0 : 1); // of its own: narrow screens have room for one
      const kind = path === STORED ? "time" : `${isPreview ? "preview " : ""}${isFirst && !isPreview ? "" : "wide"}`.trim();
      return { ...this.#head(path), kind, cell: (record) => text(at(record, path), type) };
    });
  }

  #usualPaths() {
    const own = this.#schema.columns.filter(({ path, is_added: isAdded }) => !isAdded && !path.includes("."));
    const isPlain = ({ type, is_id: isId }) => !isId && type !== "JSON" && type !== "STRUCT";
    const isTime = ({ type }) => type === "TIMESTAMP";
    const plain = own.filter(isPlain).sort((a, b) => isTime(a) - isTime(b)).slice(0, MOST);
    const preview = own.find(({ type }) => type === "JSON" || type === "STRUCT");
    const stored = this.#schema.id === null ? [] : [STORED];
    return [...stored, ...plain.map(({ path }) => path), ...(preview ? [preview.path] : [])];
  }

  #head(path) {
    const sort = view().sort ?? `-${STORED}`;
    const isBy = sort.replace(/^-/, "") === path;
    const state = isBy ? (sort.startsWith("-") ? "descending" : "ascending") : "none";
    return { head: path === STORED ? "Stored" : path, sort: state, onSort: () => this.#sortBy(path, state) };
  }

  // Upwards, then downwards, then as before; the time begins with the newest, which is how it was before.
  #sortBy(path, state) {
    const [before, beforeBy] = [this.order, this.sortedBy];
    const next = { none: path, ascending: path === STORED ? null : `-${path}`, descending: path === STORED && !beforeBy ? path : null };
    changeView({ sort: path === STORED && state === "none" ? null : next[state] });
    this.#changed(this.order !== before);
  }
}

// Return what stands at a path of a record.
function at(record, path) {
  return path.split(".").reduce((found, step) => found?.[step], record);
}

function text(found, type) {
  return type === "TIMESTAMP" && found ? moment(found) : value(found);
}

function nullsLast(one, other) {
  const [isNone, isOtherNone] = [one ?? null, other ?? null].map((each) => each === null);
  return isNone || isOtherNone ? isNone - isOtherNone : null;
}

function byText(one, other) {
  const [first, second] = [one, other].map(value);
  return first < second ? -1 : first > second ? 1 : 0;
}
