// Which stream is shown, where the service has several. A caller may be allowed to see some of them only.

import { ask } from "./api.js";
import { announce, byId, make } from "./dom.js";
import { changeView, correctView, ofAnotherStream, view } from "./view.js";

let list = ""; // where the streams are listed; "": the service has one
let streams = [];
let chosen = null;

// Take from the service's `links` whether it has several streams.
export function knowStreams(links) {
  list = links.streams ?? "";
}

// Return a path that every caller may read.
export function openPath() {
  return list || "v1/schema";
}

// Return the path of the records, the rejects or the schema of the stream that is shown.
export function inStream(path) {
  return chosen === null ? `v1/${path}` : `${list}/${encodeURIComponent(chosen.name)}/${path}`;
}

// Return the name of the stream that is shown, or "": the service has one, without a name.
export function streamName() {
  return chosen?.name ?? "";
}

// Return whether the stream is the one whose example the service shows.
export function isDefaultStream() {
  return chosen === null || chosen.is_default;
}

// Ask which streams there are, and offer them where there are several. The view says which one is shown, if it can be.
export async function findStreams(signal) {
  if (list === "") return;
  ({ streams } = await ask(list, [], { signal }));
  const named = streams.find(({ name }) => name === view().stream);
  if (view().stream !== null && !named) correctView(ofAnotherStream(null));
  chosen = named ?? streams.find(({ is_default: isDefault }) => isDefault) ?? streams[0] ?? null;
  byId("stream").replaceChildren(...streams.map(({ name }) => make("option", { value: name }, name)));
  byId("stream").value = chosen?.name ?? "";
  byId("streams").hidden = streams.length < 2;
}

// Nobody is known any more: not even the names of the streams are shown.
export function forgetStreams() {
  [streams, chosen] = [[], null];
  byId("stream").replaceChildren();
  byId("streams").hidden = true;
}

// Call `changed()` when another stream is to be shown.
export function setUpStreams(changed) {
  byId("stream").addEventListener("change", () => {
    chosen = streams.find(({ name }) => name === byId("stream").value);
    changeView(ofAnotherStream(chosen.name));
    changed();
    announce(`The stream ${chosen.name} is shown.`);
  });
}
