// --- elements: making and finding them. Text is always text: nothing a user typed is markup. ---

const $ = (id) => document.getElementById(id);

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

const UP = "M12 19V5M5.5 11.5 12 5l6.5 6.5";

// Makes the children of `parent` these, and moves only what is out of place, so that focus and
// loaded photos stay.
function arrange(parent, children) {
  const wanted = new Set(children);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  children.forEach((child, at) => {
    if (parent.children[at] !== child) parent.insertBefore(child, parent.children[at] ?? null);
  });
}

function many(count, one, several) {
  return `${count.toLocaleString()} ${count === 1 ? one : several}`;
}

// Says something without being in the way; `action` is a way on, as [words, what to do].
const NOTICE_MS = 5_000;
let hush;
function notice(text, action) {
  clearTimeout(hush);
  const close = () => $("notice").replaceChildren();
  const button = action && make("button", { type: "button", textContent: action[0] });
  button?.addEventListener("click", () => (close(), action[1]()));
  $("notice").replaceChildren(text, ...(button ? [button] : []));
  if (!action) hush = setTimeout(close, NOTICE_MS);
}

for (const dialog of document.querySelectorAll("dialog")) {
  dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  // A tap beside the sheet closes it.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}

// --- end of elements ---

