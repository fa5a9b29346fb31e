// Follows Airflow's theme: its page is around this one, and has a class for it. Alone, the browser's preference counts.

const system = matchMedia("(prefers-color-scheme: dark)");

function surroundings() {
  try {
    return parent !== window ? parent.document.documentElement : null;
  } catch {
    return null; // somebody else's page is around this one
  }
}

function isDark() {
  const around = surroundings();
  if (around) {
    if (around.classList.contains("dark") || around.dataset.theme === "dark") return true;
    if (around.classList.contains("light") || around.dataset.theme === "light") return false;
  }
  const chosen = localStorage.getItem("theme");
  return chosen === "dark" || chosen === "light" ? chosen === "dark" : system.matches;
}

function follow() {
  const dark = isDark();
  if (document.documentElement.classList.contains("dark") !== dark) {
    document.documentElement.classList.toggle("dark", dark);
    dispatchEvent(new Event("themechange"));
  }
}

follow();
system.addEventListener("change", follow);
addEventListener("storage", follow);
const around = surroundings();
if (around) new MutationObserver(follow).observe(around, { attributes: true, attributeFilter: ["class", "data-theme"] });
