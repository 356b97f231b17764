// What is shown, as the address says it: a view can be shared, kept as a bookmark, and gone back to. A key never is part
// of it.

const KEYS = ["stream", "range", "since", "until", "id", "sort", "metric", "by", "rows", "reason", "versions"];
const NOTHING = { ...Object.fromEntries(KEYS.map((key) => [key, null])), columns: null, filters: [] };

let current = read();

// Return what is shown: texts by name, or null where the default holds; `columns` (paths, or null) and `filters` (pairs
// of a parameter and its value).
export function view() {
  return current;
}

// Return whether of each record the latest version is shown alone.
export function showsLatest() {
  return current.versions === "latest";
}

// Show something else, as a step that the browser's Back undoes.
export function changeView(part) {
  const before = addressOfView();
  current = { ...current, ...part };
  const now = addressOfView();
  if (now !== before) history.pushState(null, "", now);
}

// Show something else in place of this view: what it says does not exist.
export function correctView(part) {
  current = { ...current, ...part };
  history.replaceState(null, "", addressOfView());
}

// Forget what of the view belongs to one stream.
export function ofAnotherStream(stream) {
  const { range, since, until, rows } = current;
  return { ...NOTHING, range, since, until, rows, stream };
}

// Call `changed()` when the reader went back or forward.
export function setUpView(changed) {
  addEventListener("popstate", () => {
    current = read();
    changed();
  });
}

function read() {
  const said = new URLSearchParams(location.search);
  const found = { ...NOTHING, filters: said.getAll("filter").filter(isFilter).map(asPair) };
  for (const key of KEYS) found[key] = said.get(key);
  if (said.has("columns")) found.columns = said.get("columns").split(",").filter(Boolean);
  return found;
}

function addressOfView() {
  const said = new URLSearchParams();
  for (const key of KEYS) if (current[key] !== null) said.set(key, current[key]);
  if (current.columns !== null) said.set("columns", current.columns.join(","));
  for (const [name, value] of current.filters) said.append("filter", `${name}=${value}`);
  const text = said.toString();
  return location.pathname + (text && `?${text}`);
}

function isFilter(text) {
  return text.indexOf("=") > 0;
}

function asPair(text) {
  const at = text.indexOf("=");
  return [text.slice(0, at), text.slice(at + 1)];
}
