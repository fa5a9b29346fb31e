// Looks again and again while somebody looks at the page; seldom while Airflow is in trouble, not at all while paused or hidden.

import { now } from "./clock.js";
import { make, show } from "./dom.js";
import { clock, duration } from "./format.js";

const EVERY = 2_000; // milliseconds
const AT_MOST = 60_000;

/**
 * @param {object} page
 * @param {() => Promise<void>} page.look asks the API, and shows what it answers
 * @param {() => void} [page.tick] shows once a second what time has changed
 * @param {Element} page.indicator where to tell how old what is shown is
 * @param {Element} page.problem where to tell what is wrong
 * @returns {() => void} looks at once
 */
export function live({ look, tick, indicator, problem }) {
  let timer = 0, pause = EVERY, looking = false, again = false, paused = false, failed = "", asOf = 0;
  const button = make("button", { type: "button", id: "live", class: "live", "aria-pressed": "false", title: "Pause, or go on" });
  indicator.append(button);

  async function turn() {
    clearTimeout(timer);
    if (looking) {
      again = true;
      return;
    }
    if (document.hidden || paused) return;
    looking = true;
    try {
      await look();
      [asOf, pause, failed] = [now(), EVERY, ""];
      show(problem);
    } catch (error) {
      failed = error.status < 500 ? "refused" : "not reached";
      pause = Math.min(AT_MOST, pause * 2);
      show(problem, notice(error, asOf));
      if (!(error.status || error.name === "TypeError" || error.name === "TimeoutError")) console.error(error);
    } finally {
      looking = false;
      tell();
      timer = setTimeout(turn, again ? 0 : pause);
      again = false;
    }
  }

  function tell() {
    const state = paused ? "paused" : failed ? "failed" : "live";
    const age = asOf ? `${duration((now() - asOf) / 1000)} ago` : "";
    const words = { live: asOf ? `live, ${age}` : "asking\u2026", paused: `paused, ${age}`, failed: asOf ? `${failed}; as of ${age}` : failed };
    if (button.textContent !== words[state]) button.textContent = words[state];
    button.dataset.state = state;
    button.setAttribute("aria-pressed", String(paused));
    button.setAttribute("aria-label", paused ? "Paused. Go on following" : "Following live. Pause");
  }

  button.addEventListener("click", () => {
    paused = !paused;
    tell();
    turn();
  });
  document.addEventListener("visibilitychange", turn);
  addEventListener("online", turn);
  setInterval(() => {
    if (document.hidden) return;
    tell();
    if (asOf && !paused) tick?.();
  }, 1_000);
  tell();
  turn();
  return () => {
    paused = false;
    turn();
  };
}

/** What is wrong, and what to do. @param {Error & {status?: number}} error @param {number} [asOf] */
export function notice(error, asOf = 0) {
  const away = error.status ? null
    : error.name === "TimeoutError" ? "Airflow's server does not answer in time; this page keeps asking."
    : "Airflow's server cannot be reached; this page keeps asking.";
  const old = asOf ? ` What is shown here is as of ${clock(new Date(asOf).toISOString())}.` : "";
  return make("div", { class: "note bad", role: "alert", "data-key": `problem ${error.status ?? error.name}` },
    make("p", {}, `${away ?? error.message}${old}`),
    error.status === 401 && make("a", { href: signIn(), target: "_top" }, "Sign in"));
}

function signIn() {
  const page = window.parent !== window ? window.parent.location : location;
  return `../api/v2/auth/login?${new URLSearchParams({ next: page.href })}`;
}
