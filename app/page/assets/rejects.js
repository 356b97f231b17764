// The records that could not be stored, by reason, with the bytes as they came; and what may be done about them.

import { Problem, addressOf, ask, hasKey, send } from "./api.js";
import { bytesOf, showDetails } from "./details.js";
import { byId, copyText, endWaiting, make, say, showTrouble, showWaiting, table } from "./dom.js";
import { count, moment } from "./format.js";
import { inPeriod, period } from "./period.js";
import { replaceTable } from "./records.js";
import { inStream, streamName } from "./streams.js";
import { changeView, view } from "./view.js";

const SHOWN = "10";
const STATE = "sluice-payload"; // the attribute that says that the bytes are not those that came
const MOST_KEY = 255; // characters of an Idempotency-Key
const GZIP = [0x1f, 0x8b];
// By the code of the answer.
export const WHY_NO_REJECTS = {
  insufficient_scope: "Rejected records require the scope rejects, which this key lacks",
  not_found: "A mirror has no rejected records: its source does",
};

export class Rejects {
  #schema;
  #again;
  #mayReplay;
  #isAllowed = true;
  #asked = "";

  // `again()` asks at once; `mayReplay`: the service takes records.
  constructor(schema, again, mayReplay) {
    this.#schema = schema;
    this.#again = again;
    this.#mayReplay = mayReplay;
  }

  // Asking failed, and the section says why.
  fail() {
    endWaiting(byId("rejected"), "The rejected records are not available.");
  }

  async refresh(signal) {
    if (!this.#isAllowed) return;
    const window = inPeriod(period());
    const reason = view().reason ? [["reason", view().reason]] : [];
    const asked = [...window, ["order", "desc"], ["limit", SHOWN], ["part", "0"], ...reason];
    if (JSON.stringify(asked) !== this.#asked) showWaiting(byId("rejected"), "Looking for rejects …");
    this.#asked = JSON.stringify(asked);
    try {
      const { records } = await ask(inStream("rejects"), asked, { signal });
      endWaiting(byId("rejected"));
      this.#show(records);
      showTrouble("rejects", null);
    } catch (problem) {
      if (!(problem.code in WHY_NO_REJECTS)) throw problem;
      endWaiting(byId("rejected"));
      this.#isAllowed = false; // until another key is entered, which makes the page anew
      byId("reasons").hidden = true;
      byId("rejected").replaceChildren(make("p", { className: "empty" }, `${WHY_NO_REJECTS[problem.code]}.`));
    }
  }

  // Offer the reasons that there are, with their numbers, as the overview has counted them: pairs, the most first.
  showReasons(counted) {
    const place = byId("reasons");
    const chosen = view().reason;
    const known = chosen && !counted.some(([reason]) => reason === chosen) ? [...counted, [chosen, 0]] : counted;
    place.hidden = known.length === 0;
    const said = JSON.stringify([known, chosen]);
    if (place.dataset.said === said) return;
    place.dataset.said = said;
    const focused = document.activeElement?.dataset.reason;
    place.replaceChildren(
      ...known.map(([reason, records]) => {
        const isChosen = reason === chosen;
        const choose = () => {
          changeView({ reason: isChosen ? null : reason });
          this.showReasons(counted);
          this.#again();
        };
        const button = { type: "button", "aria-pressed": String(isChosen), "data-reason": reason, onclick: choose };
        return make("button", button, `${words(reason)} `, make("b", {}, count(records)));
      }),
    );
    if (focused) place.querySelector(`[data-reason="${focused}"]`)?.focus();
  }

  #show(records) {
    const place = byId("rejected");
    if (!records.length) {
      const what = view().reason ? `for the reason ${words(view().reason)} ` : "";
      place.replaceChildren(make("p", { className: "empty" }, `No reject was stored ${what}in this time.`));
      return;
    }
    const heads = ["Reason", { text: "When", kind: "time" }, { text: "Field", kind: "wide" }, "Error"];
    const rows = records.map((each) => {
      const show = () => showDetails(`Rejected: ${words(each.reason)}`, each, this.#schema.columns, { payload: "payload", actions: this.#actions(each) });
      const open = make("button", { type: "button", className: "plain", "aria-haspopup": "dialog", onclick: show }, words(each.reason));
      return [open, moment(each.ingest_time), each.field ?? "", each.detail];
    });
    replaceTable(place, table("Newest rejected records first", heads, rows, { hideCaption: true }));
  }

  // What one may do about a reject, once its cause is mended: send it again here, or all of its kind by a command.
  #actions(reject) {
    const command = replayCommand(reject.reason);
    const copy = make("button", { type: "button", onclick: ({ target }) => copyText(command, target) }, "Copy the replay command");
    const note = make("p", { className: "quiet hint", role: "status" }, "After the cause is mended: the command publishes all rejects of this reason again.");
    const again = make("button", { type: "button", onclick: () => sendAgain(reject, again, note) }, "Send it again");
    return [...(this.#mayReplay && isWhole(reject) ? [again] : []), copy, note];
  }
}

// Send the bytes of a reject as a record, as if it came now; the same key each time, so that pressing twice is once.
async function sendAgain(reject, button, note) {
  button.disabled = true;
  say(note, "Sending …");
  try {
    const { records } = await send(inStream("records"), bytesOf(reject.payload), "application/json", { "Idempotency-Key": keyOf(reject) });
    say(note, `Stored, with the delivery key ${records[0].delivery_key}. The reject stays in this list.`);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    const isRejected = problem.code === "rejected";
    say(note, `${isRejected ? "It was rejected again. " : ""}${problem.sentence}`);
    button.disabled = isRejected; // until something else is changed it always will be
  }
}

// The bytes of this row are all of the record, and those that came, as JSON.
function isWhole({ payload, parts, attributes }) {
  const bytes = bytesOf(payload);
  const isPacked = GZIP.every((byte, at) => bytes[at] === byte);
  return parts === 1 && bytes.length > 0 && !isPacked && !(STATE in (attributes ?? {}));
}

function replayCommand(reason) {
  const service = addressOf("").replace(/\/$/, "");
  const stream = streamName() ? ` --stream ${streamName()}` : "";
  return `sluice replay --service '${service}'${stream} --reason ${reason}${hasKey() ? ' --token "$KEY"' : ""}`;
}

// The same for the same reject: a second press within a quarter of an hour stores nothing more.
function keyOf(reject) {
  return `replay:${reject.delivery_key}`.slice(-MOST_KEY);
}

function words(reason) {
  return reason.replaceAll("_", " ");
}
