// Light and dark: what the reader chose, else what the system says; and the colours in force, for what is drawn.

const STORE = "sluice.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : dark.matches;
}

// Let `button` switch between the two; `changed` is called whenever the colours are other ones.
export function setUpTheme(button, changed) {
  const show = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
    changed();
  };
  button.addEventListener("click", () => {
    const chosen = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = chosen;
    try {
      localStorage.setItem(STORE, chosen);
    } catch {
      // It holds until the page is left.
    }
    show();
  });
  dark.addEventListener("change", show);
  show();
}

// Return the colour that a custom property stands for now, as a canvas can use it.
export function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
