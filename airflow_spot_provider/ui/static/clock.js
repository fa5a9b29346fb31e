// What time it is at the server: what is shown ticks by that, however wrong this computer's clock is.

let ahead = 0; // milliseconds

/** @param {string|null|undefined} iso what the server's clock said just now */
export function setServerTime(iso) {
  const told = Date.parse(iso ?? "");
  if (!Number.isNaN(told)) ahead = told - Date.now();
}

/** Milliseconds since 1970, by the server's clock. */
export function now() {
  return Date.now() + ahead;
}

/** Seconds from a time until now; null if there is no such time. @param {string|null|undefined} iso */
export function secondsSince(iso) {
  const time = Date.parse(iso ?? "");
  return Number.isNaN(time) ? null : (now() - time) / 1000;
}

/** The time zone that is chosen in Airflow; else the computer's. */
export const zone = (() => {
  try {
    const chosen = JSON.parse(localStorage.getItem("timezone") ?? "null");
    return new Intl.DateTimeFormat("en-GB", { timeZone: chosen ?? undefined }).resolvedOptions().timeZone;
  } catch {
    return "UTC"; // no storage, or something in it that is no time zone
  }
})();
