// Asks again and again, one round at a time: only while the page is seen, and never faster than the service keeps up.

const PATIENCE = 4; // pauses last at least so many times as long as the last round took

export class Refresher {
  #round;
  #everyS;
  #timer = 0;
  #running = null;
  #isPaused = false;

  // `round(signal)` asks once, and returns how many seconds the service wants to be left alone, or 0; `everyS()` says
  // how often.
  constructor(round, everyS) {
    this.#round = round;
    this.#everyS = everyS;
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.#wake();
      else clearTimeout(this.#timer);
    });
  }

  get isPaused() {
    return this.#isPaused;
  }

  pause(isPaused) {
    this.#isPaused = isPaused;
    clearTimeout(this.#timer);
    if (!isPaused) this.#wake();
  }

  // Ask at once, also while paused: something else is to be shown. What is under way no longer matters.
  async now() {
    clearTimeout(this.#timer);
    this.#running?.abort();
    const running = (this.#running = new AbortController());
    const begun = performance.now();
    let waitS = 0;
    try {
      waitS = await this.#round(running.signal);
    } finally {
      if (this.#running === running) {
        this.#running = null;
        const tookS = (performance.now() - begun) / 1000;
        this.#later(Math.max(this.#everyS(), waitS, tookS * PATIENCE));
      }
    }
  }

  // End the round under way: what it would show is no longer wanted.
  stop() {
    clearTimeout(this.#timer);
    this.#running?.abort();
  }

  #wake() {
    if (!this.#isPaused && this.#running === null) this.now();
  }

  #later(seconds) {
    clearTimeout(this.#timer);
    if (this.#isPaused || document.visibilityState !== "visible") return;
    this.#timer = setTimeout(() => this.now(), seconds * 1000);
  }
}
