// What the records have to meet: filters by field, as the API takes them, shown as chips that can be taken away.

import { Problem, ask, asSentence } from "./api.js";
import { announce, byId, make } from "./dom.js";
import { changeView, correctView, view } from "./view.js";

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

// The code of a problem that a filter's chip already tells.
export const REFUSED = "filter_refused";

export class Filters {
  #columns;
  #changed;
  #controls = {};
  #refused = {}; // by the name of a filter: what the service says against its value
  #added = ""; // the text that was added last; it stays in its box until the service takes it

  // `columns` are those of /v1/schema; `changed()` is called when there are other filters.
  constructor(columns, changed) {
    this.#columns = columns.filter(({ operators }) => operators.length > 0);
    this.#changed = changed;
    const known = view().filters.filter(([name]) => this.#isKnown(name)); // an address may say anything
    correctView({ filters: known });
    this.#show();
  }

  #isKnown(name) {
    const [path] = partsOf(name);
    return this.#columns.some((column) => column.path === path || (column.type === "JSON" && path.startsWith(`${column.path}.`)));
  }

  // Return the filters as parameters of a request; without those of one field, if one is named.
  parameters(without = "") {
    return view().filters.filter(([name]) => !without || partsOf(name)[0] !== without);
  }

  // Ask for what meets the filters. One that the service refuses is told by its chip alone, whoever asks.
  async ask(path, parameters, options) {
    try {
      const found = await ask(path, parameters, options);
      this.#judge(parameters, []);
      return found;
    } catch (problem) {
      const errors = (problem instanceof Problem && problem.document.errors) || [];
      const isOfFilters = errors.every(({ name }) => view().filters.some(([other]) => other === name));
      if (!errors.length || !isOfFilters) throw problem;
      this.#judge(parameters, errors);
      throw new Problem(problem.status, { title: "a filter is not valid", code: REFUSED });
    }
  }

  // Mark those of the filters in a request that the service refuses.
  #judge(parameters, errors) {
    const { value } = this.#controls;
    if (!errors.length && value.value === this.#added) value.value = "";
    if (!errors.length) this.#added = "";
    const before = JSON.stringify(this.#refused);
    for (const [name] of parameters) delete this.#refused[name];
    for (const { name, message } of errors) this.#refused[name] = message;
    if (JSON.stringify(this.#refused) === before) return;
    this.#show();
    for (const { name, message } of errors) announce(`The filter ${name} is not valid. ${asSentence(message)}`);
  }

  // Let the records meet one filter more; it takes the place of another one of the same name, as a request has each once.
  add(name, value) {
    this.#change([...view().filters.filter(([other]) => other !== name), [name, value]]);
    announce("The filter was added.");
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
    const text = isPresence ? String(operator.value === "isnull") : value.value;
    this.#added = isPresence ? "" : text;
    this.add(`${path}.${isPresence ? "isnull" : operator.value}`, text);
  }

  #remove(name) {
    this.#change(view().filters.filter(([other]) => other !== name));
    announce("The filter was removed.");
    this.#controls.field.focus();
  }

  #change(filters) {
    this.#refused = {};
    changeView({ filters });
    this.#show();
    this.#changed();
  }

  #show() {
    const chips = byId("chips");
    chips.hidden = view().filters.length === 0;
    chips.replaceChildren(
      ...view().filters.map(([name, value]) => {
        const label = labelOf(name, value);
        const remove = make("button", { type: "button", "aria-label": `Remove the filter: ${label}`, onclick: () => this.#remove(name) }, "✕");
        const refused = this.#refused[name];
        return make("li", { "data-tone": refused && "bad" }, make("span", {}, refused ? `${label}. ${asSentence(refused)}` : label), remove);
      }),
    );
  }
}

// Return the field and the operator of a filter's name, as the API reads it.
function partsOf(name) {
  const at = name.lastIndexOf(".");
  const operator = name.slice(at + 1);
  return at > 0 && Object.hasOwn(WORDS, operator) ? [name.slice(0, at), operator] : [name, "eq"];
}

function labelOf(name, value) {
  const [path, operator] = partsOf(name);
  if (operator === "isnull") return `${path} ${value === "true" ? WORDS.isnull : "has a value"}`;
  return `${path} ${WORDS[operator]} ${value || "(empty)"}`;
}

function placeholder({ type }, operator) {
  if (operator === "in") return "one, two";
  return { TIMESTAMP: "2026-01-31T12:00:00Z", DATE: "2026-01-31", TIME: "12:00:00", BOOL: "true" }[type] ?? "";
}
