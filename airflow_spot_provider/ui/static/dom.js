// Elements are made, never written as markup: whatever a job or a task is called, it is text.

const SVG = "http://www.w3.org/2000/svg";

/**
 * @typedef {Node|string|number|null|undefined|false} Child
 */

/**
 * Make an element.
 * @param {string} tag
 * @param {Record<string, any>} [attributes] null, undefined and false are left out; `style` is an object
 * @param {...Child} children null, undefined, false and "" are left out
 * @returns {HTMLElement}
 */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same of SVG. @returns {SVGElement} */
export function makeSvg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "style") Object.assign(element.style, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return element;
}

/**
 * A link into Airflow, or to another site; plain text where there is none, or where it is no link that a page may follow.
 * @param {Child} text
 * @param {string|null|undefined} href
 * @param {{outside?: boolean} & Record<string, any>} [options]
 */
export function link(text, href, { outside = false, ...attributes } = {}) {
  if (!isSafe(href)) return make("span", {}, text);
  const target = outside ? { target: "_blank", rel: "noopener noreferrer" } : { target: "_top" };
  return make("a", { href, ...target, ...attributes }, text);
}

/** Whether an address is a path of this site, or http(s). @param {string|null|undefined} href */
export function isSafe(href) {
  return typeof href === "string" && /^(\/(?![/\\])|https?:\/\/)/i.test(href);
}

/**
 * Put new content into an element and touch nothing that stays as it was: focus, scroll, and what is opened stay.
 * Listeners are on elements that stay (see `on`), never on what is made here.
 * @param {Element} element
 * @param {...Child} children
 */
export function show(element, ...children) {
  const focused = document.activeElement;
  patchChildren(element, [...make("div", {}, ...children).childNodes]);
  if (focused instanceof HTMLElement && focused !== document.activeElement && element.contains(focused))
    focused.focus({ preventScroll: true }); // it was moved
}

function patchChildren(parent, wanted) {
  const keyed = new Map();
  for (const child of parent.childNodes) if (keyOf(child)) keyed.set(keyOf(child), child);
  let next = parent.firstChild;
  for (const node of wanted) {
    const key = keyOf(node);
    const old = key ? keyed.get(key) : next && !keyOf(next) && next.nodeName === node.nodeName ? next : null;
    if (!old || old.nodeName !== node.nodeName) {
      parent.insertBefore(node, next);
      continue;
    }
    if (old === next) next = next.nextSibling;
    else parent.insertBefore(old, next);
    keyed.delete(key);
    patch(old, node);
  }
  while (next) {
    const after = next.nextSibling;
    next.remove();
    next = after;
  }
}

function patch(old, node) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== node.nodeValue) old.nodeValue = node.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes])
    if (!node.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  for (const { name, value } of node.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  patchChildren(old, [...node.childNodes]);
}

function keyOf(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("data-key") : null;
}

/**
 * Hear of what happens to elements with `data-do="name:argument"` inside an element that stays.
 * @param {Element} root
 * @param {string} event
 * @param {Record<string, (argument: string, event: Event) => void>} deeds
 */
export function on(root, event, deeds) {
  root.addEventListener(event, (happened) => {
    const element = /** @type {Element} */ (happened.target).closest?.("[data-do]");
    if (!element || element.getAttribute("aria-disabled") === "true") return;
    const [name, ...argument] = element.getAttribute("data-do").split(":");
    deeds[name]?.(argument.join(":"), happened);
  });
}

/** Tell those who listen instead of looking. @param {string} text */
export function say(text) {
  const said = document.getElementById("said");
  if (said && said.textContent !== text) said.textContent = text;
}
