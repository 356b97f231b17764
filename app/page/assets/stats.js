// A plot of one's own: a number of the records that meet the filters, for each value of a field.

import { Chart } from "./chart.js";
import { byId, make, showTrouble } from "./dom.js";
import { amount, count, span, value } from "./format.js";
import { edges } from "./overview.js";
import { inPeriod, period } from "./period.js";
import { inStream } from "./streams.js";
import { changeView, view } from "./view.js";

const FUNCTIONS = { avg: "Average", min: "Smallest", max: "Largest", p50: "Median", p95: "95th percentile" };
const MOST_LINES = 8; // as many as there are colours to tell apart

export class Stats {
  #filters;
  #by;
  #metric;
  #chart;
  #asked = "";
  #note = make("p", { className: "quiet hint", hidden: true });

  // `again()` asks at once, because something else is to be shown.
  constructor(schema, filters, again) {
    this.#filters = filters;
    const changed = () => {
      changeView({ metric: this.#metric.value === "count" ? null : this.#metric.value, by: this.#by.value === usual ? null : this.#by.value });
      again();
    };
    this.#metric = metricSelect(schema.columns, changed);
    choose(this.#metric, view().metric ?? "count", "count");
    const groupable = schema.columns.filter((column) => column.groupable);
    const usual = groupable.find(({ type }) => type === "STRING")?.path ?? "";
    const options = groupable.map(({ path }) => make("option", { value: path }, path));
    this.#by = make("select", { onchange: changed }, make("option", { value: "" }, "nothing"), ...options);
    choose(this.#by, view().by ?? usual, usual);
    byId("stats-form").replaceChildren(make("label", {}, "Show", this.#metric), make("label", {}, "For each", this.#by));
    byId("stats-form").onsubmit = (event) => event.preventDefault(); // one, whoever asked before
    this.#chart = new Chart("Records over time", {
      format: (number) => (this.#metric.value.endsWith(":delay") ? span(number) : amount(number)),
      empty: "No numbers in this time.",
    });
    byId("stats").replaceChildren(this.#chart.element, this.#note);
  }

  // Asking failed, and the section says why.
  fail(problem) {
    this.#chart.fail(`Not available: ${problem.message}.`);
  }

  async refresh(signal) {
    const [metric, by] = [this.#metric.value, this.#by.value];
    const window = inPeriod(period());
    const asked = [...window, ["metric", metric], ...(by ? [["by", by]] : []), ...this.#filters.parameters()];
    if (JSON.stringify(asked) !== this.#asked) {
      this.#chart.wait("Counting …");
      this.#note.hidden = true;
    }
    this.#asked = JSON.stringify(asked);
    const found = await this.#filters.ask(inStream("records/stats"), asked, { signal });
    const { times, bucketS } = edges(found);
    const isCounted = metric === "count";
    const shown = found.series.slice(0, MOST_LINES);
    const series = shown.map(({ key, values, records }, index) => ({
      label: by ? value(key) : this.#metric.selectedOptions[0].label,
      values: values[metric].map((each) => (each === null ? null : Number(each))), // decimals are texts
      whole: isCounted ? records : undefined,
      isDashed: !isCounted && index >= MOST_LINES / 2,
    }));
    const total = found.series.reduce((sum, { records }) => sum + records, 0);
    const largest = by && shown.length ? `, most of them where ${by} is ${value(shown[0].key)}` : "";
    this.#chart.show({ times, bucketS, isCounted, series, summary: `${count(total)} records${largest}.` });
    const others = found.series.length - shown.length + found.omitted_groups;
    this.#note.hidden = others === 0;
    this.#note.textContent = others ? `${count(others)} more values of ${by}, with fewer records, are not shown.` : "";
    showTrouble("stats", null);
  }
}

// Choose what an address asks for, if it is offered.
function choose(select, wanted, usual) {
  select.value = wanted;
  if (select.selectedIndex < 0) select.value = usual;
}

function metricSelect(columns, again) {
  const select = make("select", { onchange: again }, make("option", { value: "count" }, "number of records"));
  const fields = columns.filter((column) => column.aggregable).map(({ path }) => path);
  if (columns.every(({ path }) => path !== "delay")) fields.push("delay"); // computed by the service
  for (const field of fields) {
    const options = Object.entries(FUNCTIONS).map(([name, words]) =>
      make("option", { value: `${name}:${field}` }, `${words} of ${field}`),
    );
    select.append(make("optgroup", { label: field }, ...options));
  }
  return select;
}
