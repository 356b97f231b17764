// The records of the view, taken elsewhere: as a file, as a command, as a program.

import { Problem, addressOf, ask, authorized, hasKey } from "./api.js";
import { announce, copyText, make, showTrouble } from "./dom.js";
import { count } from "./format.js";
import { inPeriod, period } from "./period.js";
import { inStream, streamName } from "./streams.js";
import { showsLatest } from "./view.js";

const FORMATS = { csv: "CSV", ndjson: "NDJSON", arrow: "Arrow" };
const EXTENSIONS = { csv: "csv", ndjson: "ndjson", arrow: "arrows" }; // the last one is of streams
const MOST_BYTES = 512 * 1024 * 1024; // that a tab keeps in memory where the browser cannot write into a file

export class Copies {
  #schema;
  #filters;
  #columns;
  #files;
  #program;

  constructor(schema, filters, columns) {
    this.#schema = schema;
    this.#filters = filters;
    this.#columns = columns;
    const files = Object.entries(FORMATS).map(([format, name]) => {
      const label = `Download all records of this view as ${name}`;
      return make("button", { type: "button", "aria-label": label, "data-format": format, onclick: ({ target }) => this.#download(format, target) }, name);
    });
    const command = make("button", { type: "button", onclick: ({ target }) => copyText(this.#command(), target) }, "Copy as curl");
    this.#program = make("button", { type: "button", onclick: ({ target }) => copyText(this.#asPython(), target) }, "Copy as Python");
    this.#files = make("div", { className: "copies", role: "group", "aria-label": "Download" }, make("span", { className: "quiet" }, "Download"), ...files);
    this.element = make("div", { className: "copies" }, this.#files, command, this.#program);
  }

  #id = "";

  // The versions of one record are shown, or, if it is "", those that meet the filters.
  show(id) {
    this.#id = id;
    this.#files.hidden = this.#program.hidden = id !== "";
  }

  // Return the view as parameters of a request; columns only where somebody chose some.
  #parameters() {
    const { chosen } = this.#columns;
    return [...(showsLatest() ? [] : inPeriod(period())), ...(chosen ? [["fields", chosen.join(",")]] : []), ...this.#filters.parameters()];
  }

  #address(parameters) {
    const isOne = this.#id !== "";
    const all = showsLatest() ? "state" : "records";
    const url = new URL(addressOf(inStream(isOne ? `records/${encodeURIComponent(this.#id)}` : all)));
    for (const [name, text] of isOne ? [["versions", "all"]] : parameters) url.searchParams.append(name, text);
    return url.href;
  }

  #command() {
    const order = showsLatest() ? [] : [["order", this.#columns.order]];
    const key = hasKey() ? ' -H "Authorization: Bearer $KEY"' : "";
    return `curl --fail-with-body${key} '${this.#address([...this.#parameters(), ...order]).replaceAll("'", "%27")}'`;
  }

  #asPython() {
    const { since, until } = period();
    const { chosen } = this.#columns;
    const [stream, filters] = [streamName(), Object.fromEntries(this.#filters.parameters())];
    const feed = [...(stream ? [JSON.stringify(stream)] : []), ...(Object.keys(filters).length ? [`filters=${JSON.stringify(filters)}`] : [])];
    const how = [
      ...(showsLatest() ? [] : [since, ...(until ? [until] : [])]).map((each) => JSON.stringify(each)),
      ...(feed.length ? [`feed=Feed(${feed.join(", ")})`] : []),
      ...(chosen ? [`fields=${JSON.stringify(chosen)}`] : []),
      ...(this.#columns.order === "desc" ? ['order="desc"'] : []),
    ];
    const walk = showsLatest() ? [`    for page in client.state(${how.join(", ")}):`, "        print(*page.records, sep='\\n')"] : [`    for record in client.walk(${how.join(", ")}):`, "        print(record)"];
    const base = JSON.stringify(addressOf("").replace(/\/$/, ""));
    return [
      ...(hasKey() ? ["import os", ""] : []),
      `from sluice_client import Client${feed.length ? ", Feed" : ""}`,
      "",
      `with Client(${base}${hasKey() ? ', token=os.environ["KEY"]' : ""}) as client:`,
      ...walk,
      "",
    ].join("\n");
  }

  async #download(format, button) {
    const address = this.#address([...this.#parameters(), ["limit", "all"], ["format", format], ...(format === "csv" ? [["csv_guard", "true"]] : [])]);
    const name = `${this.#schema.name}.${EXTENSIONS[format]}`; // where the browser does not take the service's
    button.disabled = true;
    announce("The download has begun.");
    try {
      await (hasKey() ? throughTab(address, name) : byBrowser(address));
      showTrouble("records", null);
    } catch (problem) {
      if (problem.name === "AbortError") return; // whoever was asked where to put it did not want it after all
      if (!(problem instanceof Problem)) throw problem;
      showTrouble("records", problem);
    } finally {
      button.disabled = false;
    }
  }
}

// Let the browser load a file, which it writes to the disk as it comes; first see whether there is one.
async function byBrowser(address) {
  const { ok } = await fetched(address, { method: "HEAD" });
  if (!ok) await ask(address); // says why not
  follow(address, "");
}

// Load a file that only a key opens: a browser's own download sends none.
async function throughTab(address, name) {
  const target = "showSaveFilePicker" in window ? await (await showSaveFilePicker({ suggestedName: name })).createWritable() : null;
  try {
    const answer = await fetched(address, { headers: authorized() });
    if (!answer.ok) throw new Problem(answer.status, await answer.json());
    if (target) return await answer.body.pipeTo(target);
    const parts = [];
    let size = 0;
    for await (const part of chunks(answer.body)) {
      size += part.length;
      if (size > MOST_BYTES) throw tooLarge();
      parts.push(part);
    }
    const kept = URL.createObjectURL(new Blob(parts));
    follow(kept, name);
    setTimeout(() => URL.revokeObjectURL(kept), 60_000);
  } catch (problem) {
    await target?.abort?.().catch(() => {});
    if (!(problem instanceof TypeError)) throw problem;
    throw new Problem(0, { title: "The download broke off", detail: "discard what came, and try again" });
  }
}

async function fetched(address, options) {
  try {
    return await fetch(address, options);
  } catch {
    throw new Problem(0, { title: "The service does not answer", detail: "nothing was downloaded" });
  }
}

async function* chunks(stream) {
  const reader = stream.getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) yield read.value;
}

function tooLarge() {
  const detail = `this browser keeps at most ${count(MOST_BYTES / 2 ** 20)} MiB. Choose a shorter time, or use the command`;
  return new Problem(0, { title: "The file is too large for a download with a key", detail });
}

function follow(href, name) {
  const link = make("a", { href, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}
