// What the records have to meet: filters by field, as the API takes them, shown as chips that can be taken away.

import { announce, byId, make } from "./dom.js";

const WORDS = {
  eq: "is",
  ne: "is not",
  prefix: "begins with",
  lt: "is less than",
  lte: "is at most",
  gt: "is more than",
  gte: "is at least",
  in: "is one of",
  isnull: "has no value",
};
const MOST_USEFUL = ["eq", "ne", "prefix", "gte", "lte", "gt", "lt", "in", "isnull"];

export class Filters {
  #columns;
  #changed;
  #chosen = [];
  #controls = {};

  // `columns` are those of /v1/schema; `changed()` is called when there are other filters.
  constructor(columns, changed) {
    this.#columns = columns.filter(({ operators }) => operators.length > 0);
    this.#changed = changed;
  }

  // Return the filters as parameters of a request.
  get parameters() {
    return this.#chosen.map(({ name, value }) => [name, value]);
  }

  // Return the form that adds one.
  form() {
    const field = make("select", { onchange: () => this.#offer() });
    const groups = [["Of the record", false], ["Added by the service", true]];
    for (const [label, isAdded] of groups) {
      const of = this.#columns.filter((column) => column.is_added === isAdded);
      const options = of.map(({ path }) => make("option", { value: path }, path));
      field.append(make("optgroup", { label }, ...options));
    }
    const inside = make("input", { placeholder: "such as country", autocomplete: "off", spellcheck: false });
    const operator = make("select", { onchange: () => this.#offer() });
    const value = make("input", { autocomplete: "off", spellcheck: false });
    const parts = {
      field: make("label", {}, "Field", field),
      inside: make("label", {}, "Path inside it", inside),
      operator: make("label", {}, "Condition", operator),
      value: make("label", {}, "Value", value),
    };
    this.#controls = { field, inside, operator, value, parts };
    const form = make("form", { className: "line", "aria-label": "Filter the records" }, ...Object.values(parts), make("button", {}, "Add filter"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#add();
    });
    field.value = (this.#columns.find(({ path }) => path === "source") ?? this.#columns[0])?.path ?? "";
    this.#offer();
    return form;
  }

  // Offer the operators that the field takes, and the boxes that are needed.
  #offer() {
    const { field, inside, operator, value, parts } = this.#controls;
    const column = this.#columns.find(({ path }) => path === field.value);
    if (column === undefined) return;
    const known = MOST_USEFUL.filter((name) => column.operators.includes(name));
    if (operator.dataset.of !== column.path) {
      operator.dataset.of = column.path;
      operator.replaceChildren(...known.map((name) => make("option", { value: name }, WORDS[name])));
      if (known.includes("isnull")) operator.append(make("option", { value: "hasvalue" }, "has a value"));
    }
    parts.inside.hidden = column.type !== "JSON";
    inside.required = column.type === "JSON" && !["isnull", "hasvalue"].includes(operator.value);
    parts.value.hidden = ["isnull", "hasvalue"].includes(operator.value);
    value.required = false; // an empty text is a value, too
    value.placeholder = placeholder(column, operator.value);
  }

  #add() {
    const { field, inside, operator, value, parts } = this.#controls;
    const path = [field.value, ...(parts.inside.hidden || !inside.value ? [] : [inside.value])].join(".");
    const isPresence = parts.value.hidden;
    const name = `${path}.${isPresence ? "isnull" : operator.value}`;
    const text = isPresence ? String(operator.value === "isnull") : value.value;
    const words = operator.selectedOptions[0].textContent;
    this.#chosen.push({ name, value: text, label: isPresence ? `${path} ${words}` : `${path} ${words} ${text || "(empty)"}` });
    value.value = "";
    this.#show();
    announce("The filter was added.");
  }

  #remove(filter) {
    this.#chosen = this.#chosen.filter((each) => each !== filter);
    this.#show();
    announce("The filter was removed.");
    this.#controls.field.focus();
  }

  #show() {
    const chips = byId("chips");
    chips.hidden = this.#chosen.length === 0;
    chips.replaceChildren(
      ...this.#chosen.map((filter) => {
        const remove = make("button", { type: "button", "aria-label": `Remove the filter: ${filter.label}`, onclick: () => this.#remove(filter) }, "✕");
        return make("li", {}, filter.label, remove);
      }),
    );
    this.#changed();
  }
}

function placeholder({ type }, operator) {
  if (operator === "in") return "one, two";
  return { TIMESTAMP: "2026-01-31T12:00:00Z", DATE: "2026-01-31", TIME: "12:00:00", BOOL: "true" }[type] ?? "";
}
