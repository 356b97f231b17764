// A plot over time by uPlot, with what a picture lacks: its numbers in words, a legend that reads them out under the
// pointer, and all of them as a table.

import { make, say, table } from "./dom.js";
import { moment, span, tick } from "./format.js";
import { colour } from "./palette.js";

const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const HEIGHT = 190;
const HANDFUL = 5;
// Steps between the ticks of an axis of whole numbers: 1, 2, 5, 10 and so on.
const WHOLE = Array.from({ length: 12 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat();
const drawn = new Set();

// Draw every plot again: the colours have changed.
export function redraw() {
  for (const chart of drawn) chart.draw();
}

// Let go of every plot: what they show is for nobody any more.
export function forgetCharts() {
  for (const chart of drawn) chart.forget();
  drawn.clear();
}

export class Chart {
  #plot = null;
  #data = null;
  #shape = "";
  #size = null; // watches how large the plot may be
  #parts;

  // `format` makes text of a number.
  constructor(title, { format, empty = "Nothing in this time." }) {
    this.title = title;
    this.format = format;
    this.empty = empty;
    const parts = {
      moment: make("p", { className: "moment" }),
      canvas: make("div", { className: "plot", role: "img" }),
      empty: make("p", { className: "empty", hidden: true, "aria-hidden": "true" }, make("span", {}, empty)),
      legend: make("ul", { className: "legend", "aria-label": `${title}: numbers` }),
      rows: make("div"),
    };
    parts.canvas.append(parts.empty);
    parts.details = make("details", { ontoggle: () => this.#fillTable() }, make("summary", {}, "As a table"), parts.rows);
    parts.details.firstChild.setAttribute("aria-label", `${title} as a table`);
    this.#parts = parts;
    const caption = make("figcaption", {}, make("h3", {}, title), parts.moment);
    this.element = make("figure", { className: "chart" }, caption, parts.canvas, parts.legend, parts.details);
    this.#watchSize();
    this.wait("…");
    drawn.add(this);
  }

  // Show numbers of buckets of `bucketS`: `times` in seconds since 1970, and series of {label, values, isDashed, whole},
  // the largest first; `whole` is what the legend says of the whole time, else it is the latest number. `isCounted`: they
  // are counts, which stand on each other as bars; others are lines. `summary` says in a sentence what there is to see.
  show({ times, bucketS, series, summary, isCounted = false }) {
    this.#data = { times, bucketS, series, isCounted };
    this.#setBusy(false);
    say(this.#parts.empty.firstChild, this.empty);
    const hasNumbers = series.some(({ values }) => values.some((value) => value !== null && value !== 0));
    this.#parts.empty.hidden = hasNumbers;
    this.#parts.canvas.setAttribute("aria-label", `${this.title}. ${hasNumbers ? summary : this.empty}`);
    const shape = JSON.stringify([isCounted, series.map(({ label, isDashed }) => [label, isDashed])]);
    if (this.#plot === null || shape !== this.#shape) {
      this.#shape = shape;
      this.draw();
    } else {
      this.#plot.setData(this.#columns());
    }
    this.#readOut();
    this.#fillTable();
  }

  // Show no numbers, as there are none yet of what is to be shown; `words` say what is waited for.
  wait(words) {
    this.#plot?.destroy();
    this.#plot = this.#data = null;
    this.#parts.legend.replaceChildren();
    this.#parts.rows.replaceChildren();
    say(this.#parts.moment, "");
    this.#showWords(words);
    this.#setBusy(true);
  }

  // Say why there are no numbers; older ones of the same kind stay.
  fail(words) {
    if (this.#data !== null) return;
    this.#showWords(words);
    this.#setBusy(false);
  }

  #showWords(words) {
    this.#parts.empty.hidden = false;
    say(this.#parts.empty.firstChild, words);
    this.#parts.canvas.setAttribute("aria-label", `${this.title}. ${words}`);
  }

  #setBusy(isBusy) {
    this.element.setAttribute("aria-busy", String(isBusy));
  }

  // Show nothing any more, and look at nothing.
  forget() {
    this.#size.disconnect();
    this.#plot?.destroy();
    this.#plot = this.#data = null;
  }

  draw() {
    if (this.#data === null || this.#parts.canvas.clientWidth === 0) return;
    this.#plot?.destroy();
    this.#plot = new uPlot(this.#options(), this.#columns(), this.#parts.canvas);
    this.#makeLegend();
    this.#readOut();
  }

  // Bars stand on each other: what is drawn is the sum up to each, the highest first, so that lower ones cover it.
  #columns() {
    const { times, series, isCounted } = this.#data;
    if (!isCounted) return [times, ...series.map(({ values }) => values)];
    const sums = [];
    for (const { values } of series) sums.push(values.map((value, at) => value + (sums.at(-1)?.[at] ?? 0)));
    return [times, ...sums.reverse()];
  }

  #options() {
    const { series, isCounted } = this.#data;
    const [text, grid] = [colour("quiet"), colour("line")];
    const axis = { stroke: text, font: FONT, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
    const lines = series.map((each, index) => this.#line(each, index));
    return {
      width: this.#parts.canvas.clientWidth,
      height: HEIGHT,
      padding: [6, 14, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: "time" }, drag: { x: false, y: false }, y: false, points: { show: !isCounted } },
      scales: {
        x: { range: () => this.#ends() },
        y: { range: (_, __, most) => [0, most > 0 ? most * 1.12 : 1] },
      },
      axes: [
        { ...axis, grid: { show: false }, size: 28, space: 70, values: (_, at, __, ___, step) => at.map((each) => tick(each, step)) },
        { ...axis, size: 56, space: 34, incrs: isCounted ? WHOLE : undefined, values: (_, at) => at.map((each) => this.format(each)) },
      ],
      series: [{}, ...(isCounted ? lines.reverse() : lines)],
      hooks: { setCursor: [() => this.#readOut()] },
    };
  }

  // Whole buckets: the one that is still filling has room for its bar.
  #ends() {
    const { times, bucketS } = this.#data;
    return [times[0] ?? 0, (times.at(-1) ?? 0) + bucketS];
  }

  #line({ label, isDashed }, index) {
    const stroke = colour(`tone-${(index % 8) + 1}`);
    if (this.#data.isCounted) {
      const paths = uPlot.paths.bars({ size: [0.85, 28, 2], align: 1 });
      return { label, stroke, fill: stroke, width: 0, paths, points: { show: false } };
    }
    return { label, stroke, width: 2, dash: isDashed ? [6, 4] : undefined, points: { show: true, size: 7, fill: stroke, filter: dots } };
  }

  #makeLegend() {
    const items = this.#data.series.map(({ label, isDashed }, index) => {
      const swatch = make("span", { className: "swatch", "data-tone": String((index % 8) + 1) });
      if (isDashed) swatch.dataset.dashed = "";
      return make("li", {}, swatch, make("span", {}, label), make("b"));
    });
    this.#parts.legend.replaceChildren(...items);
  }

  // Say the numbers under the pointer; without one, the latest there are.
  #readOut() {
    const { times, bucketS, series, isCounted } = this.#data;
    const under = this.#plot?.cursor.idx ?? null;
    const isUnder = under !== null && under < times.length;
    say(this.#parts.moment, isUnder ? moment(times[under] * 1000) : isCounted ? `in each ${span(bucketS)}` : "");
    this.#parts.legend.querySelectorAll("b").forEach((place, index) => {
      const { values, whole } = series[index];
      const found = under === null ? (whole ?? values.findLast((value) => value !== null)) : values[under];
      say(place, this.format(found ?? null));
    });
  }

  #fillTable() {
    if (this.#data === null || !this.#parts.details.open) return;
    const { times, series } = this.#data;
    const rows = times.map((time, at) => [moment(time * 1000), ...series.map(({ values }) => this.format(values[at]))]);
    const heads = ["From", ...series.map(({ label }) => ({ text: label, kind: "number" }))];
    const filled = table(`${this.title}, newest first`, heads, rows.reverse());
    const region = this.#parts.rows.firstChild;
    if (region === null) this.#parts.rows.append(filled);
    else region.replaceChildren(filled.firstChild); // it stays where it is scrolled to, and keeps the focus
  }

  #watchSize() {
    this.#size = new ResizeObserver(() => {
      if (this.#plot === null) this.draw();
      else this.#plot.setSize({ width: this.#parts.canvas.clientWidth, height: HEIGHT });
    });
    this.#size.observe(this.#parts.canvas);
  }
}

// Return the places of the values that need a dot to be seen: those without a neighbour, through which no line goes, and
// all of a handful.
function dots(plot, index) {
  const values = plot.data[index];
  const isMissing = (at) => (values[at] ?? null) === null;
  const places = values.flatMap((_, at) => (isMissing(at) ? [] : [at]));
  return places.length <= HANDFUL ? places : places.filter((at) => isMissing(at - 1) && isMissing(at + 1));
}
