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

  /** Red, green and blue of a colour, however CSS tells it; null if one sees through it. */
  function channelsOf(colour) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [1, 1];
    const drawing = canvas.getContext("2d", { willReadFrequently: true });
    if (!drawing) return null;
    drawing.fillStyle = colour;
    drawing.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = drawing.getImageData(0, 0, 1, 1).data;
    return alpha === 255 ? [red, green, blue] : null;
  }

  /** The same background as the page around: no seam between the two. */
  function blend(dark) {
    const behind = around ? [around.ownerDocument.body, around] : [];
    const channels = behind.map((element) => channelsOf(getComputedStyle(element).backgroundColor)).find(Boolean);
    // One that does not suit the theme would make the text hard to read.
    const suits = channels && (dark ? Math.max(...channels) < 56 : Math.min(...channels) > 244);
    const lighter = (share) => `rgb(${channels.map((each) => Math.round(each + (255 - each) * share)).join(" ")})`;
    const own = suits ? { "--bg": lighter(0), ...(dark ? { "--panel": lighter(0.04), "--rest": lighter(0.05), "--line": lighter(0.12) } : {}) } : {};
    for (const name of ["--bg", "--panel", "--rest", "--line"]) {
      if (name in own) root.style.setProperty(name, own[name]);
      else root.style.removeProperty(name);
    }
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
