// Which columns of a record are shown, what stands in their cells, and how they sort.

import { make } from "./dom.js";
import { moment, value } from "./format.js";
import { changeView, correctView, showsLatest, view } from "./view.js";

const STORED = "ingest_time"; // by which the service itself sorts
const MOST = 3; // of the record's own that are shown if nobody chose, besides its id and the time of the event
const NUMBERS = new Set(["INT64", "FLOAT64", "NUMERIC"]);

export class Columns {
  #schema;
  #offered; // what may be chosen: not the first column, which is always shown
  #usual = []; // the paths that are shown if nobody chose
  #narrow = ""; // the one of them that narrow screens have room for, too
  #boxes = [];
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
    this.#findUsual([]);
    if (sort !== null && ![this.#first, ...known].includes(sort.replace(/^-/, ""))) correctView({ sort: null });
  }

  get #first() {
    return this.#schema.id ?? STORED;
  }

  // Return how the service is to sort, which has one order for latest versions.
  get order() {
    return showsLatest() || view().sort === STORED ? "asc" : "desc";
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

  // Return the columns of the table of `records`: {head, kind, sort, onSort, cell}; `open(record, name)` makes what opens
  // a record.
  shown(records, open) {
    this.#findUsual(records);
    const named = (record) => open(record, this.#schema.id === null ? moment(record[STORED]) : value(record[this.#schema.id]));
    const first = { ...this.#head(this.#first), kind: this.#schema.id === null ? "time" : "", cell: named };
    return [first, ...(view().columns ?? this.#usual).map((path) => this.#column(path))];
  }

  // Return the boxes by which columns are chosen.
  chooser() {
    this.#boxes = this.#offered.map(({ path }) => make("input", { type: "checkbox", value: path, onchange: () => this.#choose() }));
    this.#check();
    const usual = make("button", { type: "button", onclick: () => this.#reset() }, "The usual ones");
    const list = this.#boxes.map((box) => make("label", {}, box, box.value));
    return make("fieldset", { className: "boxes" }, make("legend", {}, `Besides ${this.#first === STORED ? "the time" : this.#first}`), ...list, usual);
  }

  #check() {
    for (const box of this.#boxes) box.checked = (view().columns ?? this.#usual).includes(box.value);
  }

  #choose() {
    changeView({ columns: this.#boxes.filter(({ checked }) => checked).map((box) => box.value) });
    this.#changed(false);
  }

  #reset() {
    changeView({ columns: null });
    this.#check();
    this.#changed(false);
  }

  #column(path) {
    const column = this.#offered.find((each) => each.path === path);
    const kinds = [
      ...(path === STORED ? ["time"] : isNested(column) ? ["preview"] : NUMBERS.has(column.type) ? ["number"] : []),
      ...(view().columns === null && path !== STORED && path !== this.#narrow ? ["wide"] : []),
    ];
    return { ...this.#head(path), kind: kinds.join(" "), cell: (record) => text(at(record, path), column.type) };
  }

  // Find what is shown of `records` if nobody chose: the time of the event and the plain fields, before nested ones;
  // and what has no value in any of them only where nothing has.
  #findUsual(records) {
    const own = this.#schema.columns.filter(({ path, is_id: isId, is_added: isAdded }) => !isId && !isAdded && !path.includes("."));
    const filled = own.filter(({ path }) => records.some((record) => isFilled(record[path])));
    const offered = filled.length ? filled : own;
    const time = offered.find(({ type }) => type === "TIMESTAMP");
    const others = offered.filter((column) => column !== time);
    const plain = others.filter((column) => !isNested(column)).slice(0, MOST);
    const nested = others.filter(isNested).slice(0, plain.length < MOST ? 1 : 0);
    const stored = this.#schema.id === null ? [] : [STORED];
    this.#usual = [...stored, ...[time, ...plain, ...nested].filter(Boolean).map(({ path }) => path)];
    this.#narrow = (plain[0] ?? time ?? nested[0])?.path ?? "";
    this.#check();
  }

  #head(path) {
    const sort = view().sort ?? (showsLatest() ? STORED : `-${STORED}`);
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

// Return whether a cell of it would be JSON.
function isNested({ type, mode }) {
  return type === "JSON" || type === "STRUCT" || mode === "REPEATED";
}

function isFilled(found) {
  return found !== null && found !== undefined && found !== "" && !(typeof found === "object" && Object.keys(found).length === 0);
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
