// The tiles of the overview. A number that is not known is never a zero: a tile waits, shows a number, or says why it
// has none. One that could not be refreshed says of when its number is.

import { make, say } from "./dom.js";
import { NONE, ago, moment } from "./format.js";

const WAITING = "…";
const UNKNOWN = "?";

export class Figures {
  #tiles = {};
  #cause = "";
  #unknown = [];

  // `named` are pairs of a name and the title of its tile.
  constructor(place, named) {
    for (const [name, title] of named) {
      const parts = { value: make("dd", { className: "value" }), note: make("dd", { className: "note" }), age: make("dd", { className: "age" }) };
      const element = make("div", { "data-figure": name }, make("dt", {}, title), ...Object.values(parts));
      this.#tiles[name] = { ...parts, name, element, state: "waiting", words: "", at: 0, isOld: false };
      this.#show(this.#tiles[name]);
      place.append(element);
    }
  }

  // Nothing is known of these, until an answer comes; `words` say what is asked.
  wait(names, words) {
    for (const name of names) this.#set(name, { state: "waiting", words });
  }

  // Show a number, which was so at `at`. `note()` says what it is; `doubt(cause)` says so while something is wrong, when
  // nothing may reassure.
  tell(name, value, unit, note, doubt = note, at = Date.now()) {
    this.#set(name, { state: "told", number: value, unit, noted: note, doubt, at, isOld: false });
  }

  // Asking failed: a number that was told before stays, as an old one.
  fail(names, words) {
    for (const name of names) {
      const isTold = this.#tiles[name].state === "told";
      this.#set(name, isTold ? { isOld: true } : { state: "failed", words });
    }
  }

  // Something is wrong with the service, or with what the page knows of it; "": all is well. The numbers of the tiles
  // `unknown` were true until then.
  doubt(cause, unknown = []) {
    if (cause === this.#cause && unknown.length === this.#unknown.length) return;
    this.#cause = cause;
    this.#unknown = unknown;
    this.showAges();
  }

  // Say anew how old everything is; `limitMs(name)` is from when on a number is an old one.
  showAges(limitMs = () => Infinity) {
    for (const [name, tile] of Object.entries(this.#tiles)) {
      if (tile.state === "told" && Date.now() - tile.at > limitMs(name)) tile.isOld = true;
      this.#show(tile);
    }
  }

  #set(name, change) {
    this.#show(Object.assign(this.#tiles[name], change));
  }

  #show(tile) {
    const { name, element, value, note, age, state, words, number, unit, at, isOld } = tile;
    const isTold = state === "told";
    const isKnown = isTold && !this.#unknown.includes(name);
    const shown = isKnown ? number : state === "waiting" ? WAITING : UNKNOWN;
    const text = shown + (isKnown ? unit : "");
    if (value.dataset.said !== text) {
      value.dataset.said = text;
      value.replaceChildren(shown, ...(isKnown && unit && number !== NONE ? [make("small", {}, unit)] : []));
    }
    const cause = this.#cause || (isOld ? "not refreshed" : "");
    say(note, isTold ? (cause ? tile.doubt(cause) : tile.noted()) : words);
    say(age, isTold && isOld ? `As of ${moment(at)}, ${ago(Date.now() - at)}` : "");
    age.hidden = age.textContent === "";
    element.setAttribute("aria-busy", String(state === "waiting"));
    element.dataset.state = isTold && isOld ? "old" : state;
    element.dataset.tone = this.#cause && isTold && tile.doubt !== tile.noted ? "bad" : "";
  }
}
