// Airflow shows these pages in an iframe whose sandbox lets no link out of it. Its page is of the same origin: links that leave
// are followed there, as if they stood there, and the address that people copy from the browser's bar follows the filters.

const frame = (() => {
  try {
    return window.frameElement;
  } catch {
    return null; // somebody else's page is around this one
  }
})();

/** Whether Airflow's page is around this one. */
export const isFramed = frame !== null;

function allows(token) {
  return !frame.hasAttribute("sandbox") || frame.sandbox.contains(token);
}

function follow(event) {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button > 1) return;
  const elsewhere = link.target === "_blank" || event.ctrlKey || event.metaKey || event.shiftKey || event.button === 1;
  if (!elsewhere && link.target !== "_top") return;
  const needed = elsewhere ? ["allow-popups"] : ["allow-top-navigation", "allow-top-navigation-by-user-activation"];
  if (needed.some(allows)) return;
  event.preventDefault();
  const outer = window.parent.document;
  const double = outer.createElement("a");
  double.href = link.href;
  if (elsewhere) [double.target, double.rel] = ["_blank", link.rel || "noopener"];
  outer.body.append(double);
  double.click();
  double.remove();
}

if (isFramed) {
  document.addEventListener("click", follow);
  document.addEventListener("auxclick", follow);
}

/** Have the address in the browser's bar lead to what is shown now, where that address is made of ours. */
export function tellAddress() {
  if (!isFramed) return;
  const outer = window.parent;
  if (outer.location.pathname.endsWith(location.pathname))
    outer.history.replaceState(outer.history.state, "", `${outer.location.pathname}${location.search}${location.hash}`);
}
