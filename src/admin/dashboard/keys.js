// Keys, and the dialog that lists them.
import { sheet } from "./actions.js";
import { h } from "./dom.js";

const ELSEWHERE = [
  ["Enter", "open a service, or show its events alone"],
  ["← → ↑ ↓", "move among the replicas of a service; Enter shows one, to replace it"],
  ["Esc", "back"],
];
let known = {};

/** `keys`: description and function of each; `escape` is called with the focused element. */
export function listen(keys, escape) {
  known = keys;
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (key === "Escape") return escape(target);
    const run = key === "?" ? help : keys[key]?.[1];
    if (!run || target.matches("input, select, textarea")) return;
    event.preventDefault();
    run();
  });
}

export function help() {
  const keys = Object.entries(known).map(([key, [what]]) => [key, what]);
  const rows = [...keys, ...ELSEWHERE].flatMap(([key, what]) => [h("dt", {}, key.split(" ").map((it) => h("kbd", {}, it))), h("dd", {}, what)]);
  sheet({ title: "Keyboard", parts: [h("dl", { class: "facts keys" }, rows)] });
}
