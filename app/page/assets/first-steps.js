// How to store a first record, for a newcomer: a command that works for the declared type.

import { addressOf, hasKey } from "./api.js";
import { byId, copyText, make } from "./dom.js";
import { inStream } from "./streams.js";

// Show it by what the service's `welcome` says of a record; null: not now.
export function showFirstSteps(welcome) {
  const place = byId("first-record");
  place.hidden = welcome === null;
  if (place.hidden || place.childElementCount) return;
  const { example, template } = welcome;
  const words = ["curl", `'${addressOf(inStream("records"))}'`, ...(hasKey() ? ['-H "Authorization: Bearer $KEY"'] : []), "-H 'Content-Type: application/json'"];
  const record = JSON.stringify(example ?? template, null, example ? 0 : 2);
  // A template is no record: as a command it would be rejected.
  const command = example ? `${words.join(" ")} \\\n  -d '${record.replaceAll("'", "'\\''")}'` : record;
  const copy = make("button", { type: "button", onclick: () => copyText(command, copy) }, "Copy");
  const how = example
    ? "To store a first record without it, send one from a terminal:"
    : "No valid example could be derived from the rules of the type. This is a draft of a record, to be corrected:";
  place.append(
    make("h3", {}, "No records in this time"),
    make("p", {}, `Records published to the Pub/Sub topic appear here automatically. ${how}`),
    make("pre", { tabIndex: 0, role: "region", "aria-label": example ? "The command" : "The template" }, make("code", {}, command)),
    copy,
    ...(example ? [] : [make("p", {}, make("a", { href: "docs#/ingest/createRecords" }, "The schema of a record, and how to send it"))]),
  );
}
