// Numbers, times and values as people read them.

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const threeDigits = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });
const twoDigits = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 2 });
const sixDigits = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 6 });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const hourAndMinute = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
const dateAndClock = new Intl.DateTimeFormat(undefined, {
  ...{ month: "short", day: "numeric" },
  ...{ hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false },
});

export const NONE = "–";
// How far back one may look, in words.
export const RANGES = { PT15M: "15 minutes", PT1H: "hour", P1D: "24 hours" };

export function count(number) {
  return number >= 100_000 ? short.format(number) : whole.format(number);
}

// A number of any size; small ones keep their digits.
export function amount(number) {
  if (number === null || number === undefined) return NONE;
  return Math.abs(number) >= 100_000 ? short.format(number) : sixDigits.format(number);
}

// How many a second.
export function rate(number) {
  if (number === null || number === undefined) return NONE;
  return number >= 1000 ? count(Math.round(number)) : threeDigits.format(number);
}

export function percent(share) {
  return `${twoDigits.format(100 * share)} %`;
}

// A time span, in the unit that it is thought of in.
export function span(seconds) {
  if (seconds === null || seconds === undefined) return NONE;
  const size = Math.abs(seconds);
  if (size === 0) return "0 s";
  if (size < 1) return `${threeDigits.format(seconds * 1000)} ms`;
  if (size < 120) return `${threeDigits.format(seconds)} s`;
  if (size < 7200) return `${threeDigits.format(seconds / 60)} min`;
  return size < 172_800 ? `${threeDigits.format(seconds / 3600)} h` : `${threeDigits.format(seconds / 86_400)} d`;
}

// How long ago something was, in whole units: it is read at a glance, and changes while it is looked at.
export function ago(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  for (const [unit, size] of [["d", 86_400], ["h", 3600], ["min", 60]]) {
    if (seconds >= size * (unit === "min" ? 1 : 2)) return `${Math.floor(seconds / size)} ${unit} ago`;
  }
  return seconds < 1 ? "just now" : `${seconds} s ago`;
}

// An instant of today as a time of day, another one with its date.
export function moment(instant) {
  const date = new Date(instant);
  const isToday = date.toDateString() === new Date().toDateString();
  return (isToday ? clock : dateAndClock).format(date);
}

// What stands at a tick of a time axis whose ticks are `stepS` seconds apart.
export function tick(seconds, stepS) {
  return (stepS < 60 ? clock : hourAndMinute).format(new Date(seconds * 1000));
}

// Return the seconds of an ISO 8601 duration of days, hours, minutes and seconds.
export function durationS(text) {
  const [, days, hours, minutes, seconds] = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?$/.exec(text) || [];
  return Number(days || 0) * 86_400 + Number(hours || 0) * 3600 + Number(minutes || 0) * 60 + Number(seconds || 0);
}

// A column's value, on one line.
export function value(found) {
  if (found === null || found === undefined) return NONE;
  return typeof found === "object" ? JSON.stringify(found) : String(found);
}
