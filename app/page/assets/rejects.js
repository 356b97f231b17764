// The newest records that could not be stored, with the reason and the bytes as they came.

import { ask } from "./api.js";
import { showDetails } from "./details.js";
import { byId, endWaiting, make, showTrouble, showWaiting, table } from "./dom.js";
import { moment } from "./format.js";
import { replaceTable } from "./records.js";
import { inStream } from "./streams.js";

const SHOWN = "10";

export class Rejects {
  #schema;
  #isAllowed = true;

  #range = "";

  constructor(schema) {
    this.#schema = schema;
  }

  // Asking failed, and the section says why.
  fail() {
    endWaiting(byId("rejected"), "The rejected records are not available.");
  }

  async refresh(range, signal) {
    if (!this.#isAllowed) return;
    if (range !== this.#range) showWaiting(byId("rejected"), "Looking for rejects …");
    this.#range = range;
    const asked = [["since", `-${range}`], ["order", "desc"], ["limit", SHOWN], ["part", "0"]];
    try {
      const { records } = await ask(inStream("rejects"), asked, { signal });
      endWaiting(byId("rejected"));
      this.#show(records);
      showTrouble("rejects", null);
    } catch (problem) {
      if (problem.code !== "insufficient_scope") throw problem;
      endWaiting(byId("rejected"));
      this.#isAllowed = false; // until another key is entered, which makes the page anew
      const text = "Rejected records require the scope rejects, which this key lacks.";
      byId("rejected").replaceChildren(make("p", { className: "empty" }, text));
    }
  }

  #show(records) {
    const place = byId("rejected");
    if (!records.length) {
      place.replaceChildren(make("p", { className: "empty" }, "No reject was stored in this time."));
      return;
    }
    const heads = ["Reason", { text: "When", kind: "time" }, { text: "Field", kind: "wide" }, "Error"];
    const rows = records.map((each) => {
      const words = each.reason.replaceAll("_", " ");
      const show = () => showDetails(`Rejected: ${words}`, each, this.#schema.columns, "payload");
      const open = make("button", { type: "button", className: "plain", "aria-haspopup": "dialog", onclick: show }, words);
      return [open, moment(each.ingest_time), each.field ?? "", each.detail];
    });
    replaceTable(place, table("Newest rejected records first", heads, rows, { hideCaption: true }));
  }
}
