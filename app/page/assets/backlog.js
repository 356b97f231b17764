// What waits in Pub/Sub, by what the service knows of it: only some services may ask.

import { hereAt } from "./api.js";
import { count, moment, span } from "./format.js";

const UNKNOWN = "Pub/Sub’s queue is not visible from here";

// Return `backlog` of `/health/ready` in words: {isKnown, messages, oldestS, words}.
export function backlogOf(backlog) {
  return { isKnown: false, messages: 0, oldestS: 0, ...told(backlog) };
}

function told(backlog) {
  if (!backlog) return { words: UNKNOWN };
  const { at, subscriptions, error } = backlog;
  if (!at) return { words: error ? `${UNKNOWN}: ${error}` : "Pub/Sub is being asked what waits there" };
  const messages = subscriptions.reduce((sum, each) => sum + each.messages, 0);
  const oldestS = Math.max(0, ...subscriptions.map((each) => each.oldest_s ?? 0));
  const since = `at ${moment(hereAt(at))}`;
  if (messages === 0) return { isKnown: true, words: `No message waited in Pub/Sub ${since}` };
  const some = `${count(messages)} ${messages === 1 ? "message" : "messages"} waited in Pub/Sub ${since}`;
  return { isKnown: true, messages, oldestS, words: oldestS ? `${some}, the oldest for ${span(oldestS)}` : some };
}
