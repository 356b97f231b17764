// The values of a field with their counts, of the records that meet the other filters; each is a filter to add.

import { Problem } from "./api.js";
import { byId, make } from "./dom.js";
import { NONE, count, moment, value } from "./format.js";
import { inPeriod, period } from "./period.js";
import { inStream } from "./streams.js";

const MOST = 12; // values of a field
const UNIQUE = new Set(["TIMESTAMP", "TIME", "FLOAT64", "NUMERIC"]); // nearly each record has another value

export class Facets {
  #filters;
  #facets = [];

  // A field is counted when it is opened: each is a query, and some stores bill for it.
  constructor(schema, filters) {
    this.#filters = filters;
    const place = byId("facets");
    const fields = schema.columns.filter(({ groupable, type }) => groupable && !UNIQUE.has(type)).map(({ path }) => path);
    place.hidden = fields.length === 0;
    for (const path of fields) {
      const list = make("div", { className: "facet" });
      const element = make("details", { ontoggle: () => this.#count(facet) }, make("summary", {}, path), list);
      const facet = { path, element, list, asked: "", running: null };
      this.#facets.push(facet);
    }
    place.replaceChildren(make("span", { className: "quiet" }, "Values of"), ...this.#facets.map(({ element }) => element));
  }

  // Count those that are open anew if the time or the filters are other ones.
  refresh() {
    for (const facet of this.#facets) this.#count(facet);
  }

  async #count(facet) {
    const { path, element, list } = facet;
    const window = period();
    const asked = [...inPeriod(window), ["by", path], ["metric", "count"], ...this.#filters.parameters(path)];
    if (!element.open) {
      facet.asked = ""; // opening it again counts again
      return;
    }
    if (facet.asked === JSON.stringify(asked)) return;
    facet.asked = JSON.stringify(asked);
    facet.running?.abort();
    const { signal } = (facet.running = new AbortController());
    list.replaceChildren(make("p", { className: "quiet hint" }, "Counting …"));
    try {
      const found = await this.#filters.ask(inStream("records/stats"), asked, { signal });
      this.#show(facet, found, window);
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (!(problem instanceof Problem)) throw problem;
      list.replaceChildren(make("p", { className: "trouble" }, problem.sentence));
    }
  }

  #show({ path, list }, found, { words }) {
    const shown = found.series.slice(0, MOST);
    const others = found.series.length - shown.length + found.omitted_groups;
    const items = shown.map(({ key, records }) => {
      const text = key === null ? NONE : value(key) || "(empty)";
      const add = () => (key === null ? this.#filters.add(`${path}.isnull`, "true") : this.#filters.add(`${path}.eq`, String(key)));
      const button = make("button", { type: "button", className: "plain", "aria-label": `${path} is ${text}: ${count(records)} records; add as a filter`, onclick: add }, text);
      return make("li", {}, button, make("span", { className: "quiet" }, count(records)));
    });
    const more = others ? `${count(others)} more values with fewer records. ` : "";
    const note = `${more}${items.length ? "Counted over" : "No record in"} ${words}, as of ${moment(Date.now())}.`;
    list.replaceChildren(make("ul", {}, ...items), make("p", { className: "quiet hint" }, note));
  }
}
