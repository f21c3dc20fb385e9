// Elements, in one line each. Text is always text: nothing that a container says becomes markup.

export const h = (name, properties, ...children) => fill(document.createElement(name), properties, children);

export const svg = (name, properties, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", name), properties, children);

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child != null && child !== false));
  return node;
}

/** Writes only what is another: the page rests while nothing changes. */
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

export function set(node, name, value) {
  if (value == null || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? "" : value);
}

/** A number with its unit beside it. */
export function number(className) {
  const value = h("b");
  const unit = h("i");
  const node = h("span", { class: `number ${className ?? ""}` }, value, unit);
  return {
    node,
    show([number, of]) {
      text(value, number);
      text(unit, of);
    },
  };
}

/** One of the symbols in the page. */
export const icon = (name) => svg("svg", { class: "icon", "aria-hidden": "true", viewBox: "0 0 16 16" }, svg("use", { href: `#${name}` }));
