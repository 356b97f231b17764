// Makes elements. What stands in them is text, never markup: a record may hold anything.

// Return an element with properties and children (elements or text). `data-` and `aria-` names, `role`, `for` and
// the like are attributes; the others are properties; null and undefined are left out.
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function byId(id) {
  return document.getElementById(id);
}

// Put `text` into `element` where it is another one, so that nothing is read out or laid out again in vain.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Tell whoever does not see the page what happened, once.
export function announce(text) {
  say(byId("announcement"), text);
}

// Show what went wrong in a section, or take it away (null).
export function showTrouble(section, problem) {
  const place = document.querySelector(`[data-trouble="${section}"]`);
  place.hidden = problem === null;
  say(place, problem === null ? "" : problem.sentence);
}

// Return a table that scrolls by itself where it is too wide, also by keyboard. A head is a text, or {text, kind, sort,
// onSort}, where `sort` is how the rows are sorted by it, as ARIA says it; a cell of a row is a text or an element; the
// first one heads its row.
export function table(caption, heads, rows, { hideCaption = false } = {}) {
  const named = heads.map((head) => (typeof head === "string" ? { text: head, kind: "" } : head));
  const head = make("tr", {}, ...named.map(columnHead));
  const body = rows.map((cells) =>
    make(
      "tr",
      {},
      ...cells.map((cell, index) => {
        const kind = named[index].kind;
        return index === 0 ? make("th", { scope: "row", className: kind }, cell) : make("td", { className: kind }, cell);
      }),
    ),
  );
  const label = make("caption", { className: hideCaption ? "unseen" : "" }, caption);
  const whole = make("table", {}, label, make("thead", {}, head), make("tbody", {}, ...body));
  return make("div", { className: "scroll", role: "region", "aria-label": caption, tabindex: "0" }, whole);
}

function columnHead({ text, kind, sort, onSort }) {
  if (!onSort) return make("th", { scope: "col", className: kind }, text);
  const arrow = { ascending: " ↑", descending: " ↓" }[sort] ?? "";
  const button = make("button", { type: "button", className: "sort", title: `Sort by ${text}`, onclick: onSort }, text);
  return make("th", { scope: "col", className: kind, "aria-sort": sort }, button, arrow && make("span", { "aria-hidden": "true" }, arrow));
}

// Copy a text, and say so on the `button` that was pressed.
export async function copyText(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    const words = button.dataset.words ?? button.textContent;
    button.dataset.words = words;
    say(button, "Copied");
    setTimeout(() => say(button, words), 2000);
    announce("Copied to the clipboard.");
  } catch {
    announce("The browser does not allow the page to copy.");
  }
}

// Show in a list that what is to stand there is being asked for.
export function showWaiting(place, words) {
  place.setAttribute("aria-busy", "true");
  place.replaceChildren(make("p", { className: "empty" }, words));
}

// An answer has come, or none will: `words` say so where nothing else stands.
export function endWaiting(place, words = "") {
  if (place.getAttribute("aria-busy") !== "true") return;
  place.setAttribute("aria-busy", "false");
  if (words) place.replaceChildren(make("p", { className: "empty" }, words));
}
