// Asks the API, with the rights of whoever looks. The key is kept by the tab alone, and stands in a header only: in an
// address it would end up in histories and logs.

const ROOT = new URL("../../", import.meta.url); // the service may be reached under a prefix
const STORE = "sluice.key";

// What went wrong, as the service says it (RFC 9457), or that it said nothing.
export class Problem extends Error {
  constructor(status, document, retryAfterS = 0) {
    super(document.title || `HTTP ${status}`);
    this.status = status;
    this.code = document.code || "";
    this.retryAfterS = retryAfterS;
    this.document = document;
  }

  // Say it in a sentence or two.
  get sentence() {
    const { title, detail, errors = [] } = this.document;
    const said = errors.length ? errors.map((error) => `${error.name}: ${error.message}`).join("; ") : detail;
    return [title || `The service answered ${this.status}`, said].filter(Boolean).map(asSentence).join(" ");
  }
}

function asSentence(text) {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}

export function hasKey() {
  return key() !== null;
}

export function keepKey(text) {
  sessionStorage.setItem(STORE, text);
}

export function forgetKey() {
  sessionStorage.removeItem(STORE);
}

function key() {
  return sessionStorage.getItem(STORE);
}

export function addressOf(path) {
  return new URL(path, ROOT).href;
}

// Return what the service answers to a GET of `path` with `parameters` (pairs). With `accepts`, an answer of this other
// status is one, too: `/health/ready` says how it is in the body of a 503.
export async function ask(path, parameters = [], { signal, accepts = 0 } = {}) {
  const url = new URL(path, ROOT);
  for (const [name, text] of parameters) url.searchParams.append(name, text);
  const headers = { Accept: "application/json" };
  if (hasKey()) headers.Authorization = `Bearer ${key()}`;
  let answer;
  try {
    answer = await fetch(url, { headers, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    const detail = "it may be restarting, or the network is gone; the page tries again by itself";
    throw new Problem(0, { title: "The service does not answer", detail, code: "unreachable" });
  }
  const body = await answer.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    return {}; // of a proxy, perhaps: it is no problem document
  });
  if (answer.ok || answer.status === accepts) return body;
  throw new Problem(answer.status, body, Number(answer.headers.get("Retry-After")) || 0);
}
