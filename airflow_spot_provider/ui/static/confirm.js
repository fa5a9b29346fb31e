// Asks before something is done that cannot be undone. A dialog of the page's own: Airflow's iframe lets none of the browser's through.

import { make } from "./dom.js";

/**
 * @param {string} title what is about to be done
 * @param {string} question what will come of it
 * @param {string} yes what the button is called that does it
 * @returns {Promise<boolean>}
 */
export function confirmed(title, question, yes) {
  return new Promise((resolve) => {
    const dialog = /** @type {HTMLDialogElement} */ (make("dialog", { "aria-labelledby": "confirm-title", "aria-describedby": "confirm-question" },
      make("h2", { id: "confirm-title" }, title), make("p", { id: "confirm-question" }, question),
      make("form", { method: "dialog" }, make("button", { value: "no", autofocus: true }, "Leave it"),
        make("button", { value: "yes", class: "grave" }, yes))));
    // The page's policy allows no form to be sent anywhere, and this one is not: it closes the dialog.
    for (const button of dialog.querySelectorAll("button"))
      button.addEventListener("click", (event) => {
        event.preventDefault();
        dialog.close(/** @type {HTMLButtonElement} */ (button).value);
      });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
