// Elements, in one line each. Text is always text: output of containers never becomes markup.

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

/** Writes only changed values: the page rests while nothing changes. */
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

export function set(node, name, value) {
  if (value == null || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? "" : value);
}

/**
 * Brings children into this order. A moved element loses the focus: the focused one stays, and the
 * others move around it.
 */
export function order(parent, nodes) {
  if (!nodes.length) return;
  const { activeElement } = document;
  const held = parent.contains(activeElement) ? nodes.findIndex((node) => node.contains(activeElement)) : -1;
  const fixed = Math.max(0, held);
  if (nodes[fixed].parentNode !== parent) parent.prepend(nodes[fixed]);
  for (let place = fixed - 1; place >= 0; place -= 1) {
    if (nodes[place + 1].previousSibling !== nodes[place]) nodes[place + 1].before(nodes[place]);
  }
  for (let place = fixed + 1; place < nodes.length; place += 1) {
    if (nodes[place - 1].nextSibling !== nodes[place]) nodes[place - 1].after(nodes[place]);
  }
}

/** Values in `localStorage` or `sessionStorage`; in the page's memory where the browser has neither. */
export function storage(name) {
  const own = new Map();
  return {
    get(key) {
      try {
        return window[name].getItem(key) ?? own.get(key);
      } catch {
        return own.get(key);
      }
    },
    set(key, value) {
      own.delete(key);
      try {
        if (value == null) window[name].removeItem(key);
        else window[name].setItem(key, value);
      } catch {
        own.set(key, value);
      }
    },
  };
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
