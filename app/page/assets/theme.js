"use strict";

// Before anything is painted, so that a page that was chosen to be dark does not flash white.
try {
  const chosen = localStorage.getItem("sluice.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage may be forbidden; then the system's choice holds.
}
