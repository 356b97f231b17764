// Who reads by a name, and how far behind each is: nothing is shown until there is one.

import { ask, hereAt } from "./api.js";
import { byId, table } from "./dom.js";
import { moment, span } from "./format.js";

const PATH = "v1/readers";
const HEADS = ["Reader", "Of", "Stream", { text: "Behind", kind: "number" }, { text: "Last seen", kind: "time" }];

export class Readers {
  async refresh(signal) {
    const { instances, readers } = await ask(PATH, [], { signal });
    byId("readers").hidden = readers.length === 0;
    byId("readers-of").textContent = instances === "this" ? "that this instance has answered" : "";
    const rows = readers.map((each) => [each.name, each.principal, each.stream, span(Math.round(each.lag_s)), moment(hereAt(each.last_seen))]);
    const place = byId("named-readers");
    const text = JSON.stringify(rows);
    if (place.dataset.said === text && place.firstChild) return;
    place.dataset.said = text;
    place.replaceChildren(table("Named readers", HEADS, rows, { hideCaption: true }));
  }

  // Who may not read sees no readers; why stands at the records.
  fail() {
    byId("readers").hidden = true;
  }
}
