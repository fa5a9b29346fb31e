// What a part of a bar is, beside the pointer. Who does not point reads the same in the bar's label and in the table of transitions.

import { make } from "./dom.js";

const tip = make("div", { class: "tip", "aria-hidden": "true", hidden: true });
document.body.append(tip);

function point(event) {
  const text = event.target.closest?.("[data-tip]")?.getAttribute("data-tip");
  tip.hidden = !text;
  if (!text) return;
  if (tip.textContent !== text) tip.textContent = text;
  const { innerWidth } = window, { offsetWidth, offsetHeight } = tip;
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 12, innerWidth - offsetWidth - 8))}px`;
  const above = event.clientY - offsetHeight - 12;
  tip.style.top = `${above > 4 ? above : event.clientY + 18}px`;
}

addEventListener("pointermove", point, { passive: true });
addEventListener("pointerdown", point, { passive: true });
addEventListener("scroll", () => { tip.hidden = true; }, { passive: true, capture: true });
document.addEventListener("pointerleave", () => { tip.hidden = true; });
