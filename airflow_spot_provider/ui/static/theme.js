// Follows Airflow's theme before anything is painted: Airflow's page is around this one, and has a class for it.
// Alone, what was chosen in Airflow counts, else the browser's preference. A plain script: a module would come too late.

(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const around = (() => {
    try {
      return window.parent !== window ? window.parent.document.documentElement : null;
    } catch {
      return null; // somebody else's page is around this one
    }
  })();

  function chosen() {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // storage is switched off
    }
  }

  function themeOf(element) {
    const told = [...element.classList, element.dataset.theme, element.style.colorScheme];
    return told.includes("dark") ? "dark" : told.includes("light") ? "light" : null;
  }

  /** The same background as the page around: no seam between the two. */
  function blend(dark) {
    const colour = around ? getComputedStyle(around.ownerDocument.body).backgroundColor : "";
    const parts = (colour.match(/[\d.]+/g) ?? []).map(Number);
    const bright = parts.length === 3 && /^rgb\(/.test(colour) ? Math.max(...parts) : null;
    // One that does not suit the theme would make the text hard to read.
    if (bright !== null && (dark ? bright < 45 : Math.min(...parts) > 244)) root.style.setProperty("--bg", colour);
    else root.style.removeProperty("--bg");
  }

  function follow() {
    const theme = (around && themeOf(around)) || chosen();
    const dark = theme === "dark" || (theme !== "light" && system.matches);
    const changed = root.classList.contains("dark") !== dark;
    root.classList.toggle("dark", dark);
    root.classList.toggle("light", !dark);
    blend(dark);
    if (changed) dispatchEvent(new Event("themechange"));
  }

  follow();
  system.addEventListener("change", follow);
  addEventListener("storage", follow);
  if (around) new MutationObserver(follow).observe(around, { attributes: true, attributeFilter: ["class", "data-theme", "style"] });
})();
