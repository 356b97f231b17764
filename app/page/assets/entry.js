// The form for a key, where the service wants one.

import { ask, forgetKey, hasKey, keepKey } from "./api.js";
import { announce, byId, say } from "./dom.js";
import { openPath } from "./streams.js";

// `entered()` is called when a key was accepted, `left()` when it is forgotten.
export function setUpEntry(entered, left) {
  byId("entry-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const box = byId("key");
    keepKey(box.value.trim());
    try {
      await ask(openPath());
    } catch (problem) {
      forgetKey();
      showEntry(problem);
      return;
    }
    box.value = "";
    hideEntry();
    announce("The key was accepted.");
    entered();
  });
  byId("forget").addEventListener("click", () => {
    forgetKey();
    left();
    announce("The key was forgotten.");
  });
}

// Ask for a key; `problem` says what was wrong with the one before, if there was one.
export function showEntry(problem = null) {
  byId("entry").hidden = false;
  byId("forget").hidden = true;
  const place = byId("entry-trouble");
  place.hidden = problem === null;
  say(place, problem === null ? "" : problem.sentence);
  byId("key").focus();
}

function hideEntry() {
  byId("entry").hidden = true;
}

export function showForget() {
  byId("forget").hidden = !hasKey();
}
