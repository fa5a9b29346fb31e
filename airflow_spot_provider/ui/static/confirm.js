// Asks before something is done that cannot be undone.

import { make } from "./dom.js";

/** @returns {Promise<boolean>} */
export function confirmed(question) {
  return new Promise((resolve) => {
    const dialog = make("dialog", { "aria-label": "Are you sure?" }, make("p", {}, question),
      make("form", { method: "dialog" }, make("button", { value: "no", autofocus: true }, "Leave it"), make("button", { value: "yes" }, "Do it")));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "yes"); });
    document.body.append(dialog);
    dialog.showModal();
  });
}
