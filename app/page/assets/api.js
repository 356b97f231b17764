// Asks the API, with the rights of whoever looks. The key is kept by the tab alone, and stands in a header only: in an
// address it would end up in histories and logs.

const ROOT = new URL("../../", import.meta.url); // the service may be reached under a prefix
const STORE = "sluice.key";
const PATIENCE_S = 60; // longer than the service works on any request
let aheadMs = 0; // how far this computer's clock is ahead of the service's

// Return what time it is for the service: ages are of its time stamps, and clocks of laptops are wrong.
export function serviceNow() {
  return Date.now() - aheadMs;
}

// Return when something that happened at `instant`, by the service's clock, was by this computer's.
export function hereAt(instant) {
  return new Date(instant).getTime() + aheadMs;
}

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
    const said = errors.map((error) => ended(`${error.name}: ${error.message}`)); // a name keeps its first letter
    return [asSentence(title || `the service answered ${this.status}`), ...(errors.length ? said : [asSentence(detail ?? "")])].filter(Boolean).join(" ");
  }
}

// Return a text with a capital letter and a full stop; nothing stays nothing.
export function asSentence(text) {
  return text && ended(text.charAt(0).toUpperCase() + text.slice(1));
}

function ended(text) {
  return /[.!?…]$/.test(text) ? text : `${text}.`;
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

// Return what the service answers to a GET of `path` with `parameters` (pairs), or throw a Problem, at the latest after
// `patienceS`: a service that hangs would otherwise look like one at rest.
export async function ask(path, parameters = [], { signal, patienceS = PATIENCE_S } = {}) {
  const { answer, body } = await request(path, parameters, signal, patienceS);
  if (answer.ok) return body;
  throw new Problem(answer.status, body, Number(answer.headers.get("Retry-After")) || 0);
}

// Send `body` (bytes of `type`) to `path`; return what the service answers: 201, 207 or 422 say what became of it.
export async function send(path, body, type, headers = {}) {
  const { answer, body: said } = await request(path, [], null, PATIENCE_S, { method: "POST", body, headers: { "Content-Type": type, ...headers } });
  if (answer.ok) return said;
  throw new Problem(answer.status, said, Number(answer.headers.get("Retry-After")) || 0);
}

// Return the header that says who asks, if a key was entered.
export function authorized() {
  return hasKey() ? { Authorization: `Bearer ${key()}` } : {};
}

// Return what `/health/ready` says, which is an answer also where its status is 503.
export async function askHealth(signal, patienceS) {
  const { answer, body } = await request("health/ready", [], signal, patienceS);
  if (typeof body.status !== "string") throw new Problem(answer.status, body);
  const at = Date.parse(answer.headers.get("Date"));
  if (at) aheadMs = Math.abs(Date.now() - at) < 2000 ? 0 : Date.now() - at; // the header has whole seconds
  return body;
}

async function request(path, parameters, signal, patienceS, options = {}) {
  const url = new URL(path, ROOT);
  for (const [name, text] of parameters) url.searchParams.append(name, text);
  const headers = { Accept: "application/json", ...authorized(), ...options.headers };
  const ends = [AbortSignal.timeout(patienceS * 1000), ...(signal ? [signal] : [])];
  let answer;
  try {
    answer = await fetch(url, { ...options, headers, signal: AbortSignal.any(ends) });
    return { answer, body: await answer.json() };
  } catch (error) {
    if (signal?.aborted) throw new DOMException("the view changed", "AbortError");
    if (error instanceof SyntaxError) return { answer, body: {} }; // of a proxy, perhaps: it is no problem document
    throw unreachable(error.name === "TimeoutError" ? patienceS : 0);
  }
}

function unreachable(waitedS) {
  const detail = waitedS
    ? `no answer within ${waitedS} s`
    : "it may be restarting, or the network is down; the page retries automatically";
  return new Problem(0, { title: "The service does not answer", detail, code: waitedS ? "timeout" : "unreachable" });
}
