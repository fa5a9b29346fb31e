// Elements are made, never written as text: what a job or a task is called is never markup.

/**
 * @param {string} tag
 * @param {Record<string, any>} [attributes] on... are listeners; null and false are left out
 * @param {...(Node|string|number|null|undefined)} children
 */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function makeSvg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(element.style, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

/** A link to a place in Airflow, or at AWS; plain text where there is none, or where it leads elsewhere. */
export function link(text, href, { outside = false, ...attributes } = {}) {
  if (!href || !/^(\/|https:\/\/)/.test(href) || href.startsWith("//")) return make("span", {}, text);
  const target = outside ? { target: "_blank", rel: "noopener noreferrer" } : { target: "_top" };
  return make("a", { href, ...target, ...attributes }, text);
}

/** Put new content into an element, leaving it alone where nothing has changed: focus and scroll stay. */
export function show(element, ...children) {
  const fresh = make("div", {}, ...children);
  patch(element, fresh);
}

function patch(old, fresh) {
  const olds = [...old.childNodes];
  const news = [...fresh.childNodes];
  news.forEach((node, index) => {
    const before = olds[index];
    if (!before) old.append(node);
    else if (before.isEqualNode(node)) return;
    else if (isAlike(before, node)) {
      copyAttributes(before, node);
      patch(before, node);
    } else before.replaceWith(node);
  });
  olds.slice(news.length).forEach((node) => node.remove());
}

// Listeners are not copied: an element that has some is told by data-acts, and is replaced when it changes.
function isAlike(before, node) {
  return (
    before.nodeType === Node.ELEMENT_NODE &&
    before.nodeName === node.nodeName &&
    before.dataset.key === node.dataset.key &&
    !("acts" in node.dataset)
  );
}

function copyAttributes(before, node) {
  for (const { name } of [...before.attributes]) if (!node.hasAttribute(name) && name !== "open") before.removeAttribute(name);
  for (const { name, value } of [...node.attributes]) if (before.getAttribute(name) !== value) before.setAttribute(name, value);
}

/** Tell who listens instead of looking. */
export function say(text) {
  const said = document.getElementById("said");
  if (said.textContent !== text) said.textContent = text;
}
