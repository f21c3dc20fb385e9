// Commands to Tidegate, and their dialogs.
import { h, icon, set, storage, text } from "./dom.js";
import { facts } from "./replicas.js";
import { many, short } from "./words.js";

const KEPT_AS = "tidegate-token";
/** A command that takes longer than this, in ms, is shown as waiting. */
const SOON = 400;
const tab = storage("sessionStorage");

export class Actions {
  /** `toast` shows the result of a command; `changed` is called after signing in or out. */
  constructor({ toast, changed }) {
    Object.assign(this, { toast, changed });
    // Forgotten with the tab, and never part of an address.
    this.token = tab.get(KEPT_AS) ?? null;
  }

  keep(token) {
    this.token = token;
    tab.set(KEPT_AS, token);
    this.changed();
  }

  signOut() {
    this.keep(null);
    this.toast("Signed out.");
  }

  /** Returns the answer; throws an error with the message to show. */
  async order(path, body, token = this.token) {
    const headers = { authorization: `Bearer ${token}` };
    if (body) headers["content-type"] = "application/json";
    let answer;
    try {
      answer = await fetch(`api/v1/${path}`, { method: "POST", headers, body: body && JSON.stringify(body) });
    } catch {
      throw new Error("Tidegate does not answer. The command may or may not have been carried out.");
    }
    const said = await answer.json().catch(() => ({}));
    if (answer.ok) return said;
    if (answer.status === 401) {
      if (token === this.token) this.keep(null);
      throw new Error("This token is wrong.");
    }
    throw new Error(said.error ?? `Tidegate answered with ${answer.status}.`);
  }

  signIn(then) {
    let given = null;
    const token = h("input", { id: "token", type: "password", required: true, autocomplete: "off", spellcheck: "false", autocapitalize: "none" });
    this.sheet({
      title: "Sign in",
      parts: [
        h("p", {}, "Reading is free. Changes need the token."),
        h("label", { for: "token" }, "Token"),
        token,
        h("p", { class: "hint" }, "The token is in the file ", h("code", {}, "admin-token"), " in Tidegate’s state folder, or in its variable ", h("code", {}, "TIDEGATE_ADMIN_TOKEN"), ". This tab forgets the token when it is closed."),
      ],
      submit: "Sign in",
      run: async () => {
        given = token.value.trim();
        // Browsers do not send other characters.
        if (/[^\x20-\x7e]/.test(given)) throw new Error("This token is wrong.");
        await this.order("token", null, given);
      },
      then: () => {
        this.keep(given);
        if (then) then();
        else this.toast("Signed in.");
      },
    });
  }

  sheet(of) {
    return sheet({ ...of, toast: this.toast });
  }

  /** Asks for a missing token first. */
  with(run) {
    if (this.token) run();
    else this.signIn(run);
  }

  scale(service) {
    this.with(() => {
      const { name, max, desired, by_hand } = service;
      // Zero cannot be held by hand: the service could not be woken.
      const min = Math.max(1, service.min);
      const count = h("input", { id: "count", type: "number", min, max, value: by_hand ?? Math.max(min, desired), required: true, inputmode: "numeric" });
      const step = (by) =>
        h("button", { type: "button", class: "step", "aria-label": by > 0 ? "One more" : "One less", onclick: () => {
          count.value = Math.min(max, Math.max(min, (Number(count.value) || 0) + by));
          count.dispatchEvent(new Event("input"));
        } }, by > 0 ? "+" : "−");
      const { form, submit } = this.sheet({
        title: `Scale ${name}`,
        parts: [
          h("label", { for: "count" }, "Replicas"),
          h("div", { class: "stepper" }, step(-1), count, step(1)),
          h("p", { class: "hint" }, by_hand == null ? `The policy wants ${desired} now, from ${min} to ${max}. A number by hand holds until you return to the policy.` : `Held at ${by_hand} by hand, from ${min} to ${max}.`),
        ],
        submit: "Hold",
        other: by_hand == null ? null : { label: "Return to the policy", run: () => this.scaleTo(name, "auto") },
        run: () => this.scaleTo(name, Number(count.value)),
      });
      const say = () => text(submit, `Hold ${many(Number(count.value) || 0, "replica")}`);
      count.addEventListener("input", say);
      say();
      form.addEventListener("focusin", ({ target }) => target === count && count.select(), { once: true });
    });
  }

  async scaleTo(name, replicas) {
    const scaled = await this.order(`services/${encodeURIComponent(name)}/scale`, { replicas });
    return scaled.by_hand == null ? `${name}: the policy decides again.` : `${name}: ${many(scaled.by_hand, "replica")}, held by hand.`;
  }

  deploy(service) {
    this.with(() => {
      const { name, image } = service;
      const field = h("input", { id: "image", type: "text", placeholder: short(image), autocomplete: "off", spellcheck: "false", autocapitalize: "none" });
      this.sheet({
        title: `Deploy ${name}`,
        parts: [
          h("label", { for: "image" }, "Image"),
          field,
          h("p", { class: "hint" }, "Empty: the configured image, with the present content of its tag. Replicas are replaced one by one; a version that fails is rolled back."),
        ],
        submit: "Deploy",
        run: async () => {
          const image = field.value.trim();
          const deployed = await this.order(`services/${encodeURIComponent(name)}/deploy`, image ? { image } : {});
          return deployed.begun ? `${name}: ${short(deployed.version)} is being rolled out.` : `${name}: every replica runs ${short(deployed.version)} already.`;
        },
      });
    });
  }

  drain(name, slot) {
    this.with(() =>
      this.sheet({
        title: `Replace ${slot} of ${name}`,
        parts: [h("p", {}, "Another replica starts first. Then this one gets no new requests, finishes its present ones, and is removed.")],
        submit: "Replace",
        run: async () => {
          await this.order(`services/${encodeURIComponent(name)}/drain`, { slot });
          return `${name}: ${slot} is being replaced.`;
        },
      }),
    );
  }

  reload() {
    this.with(() =>
      this.sheet({
        title: "Reload the configuration",
        parts: [h("p", {}, "Tidegate reads its file again and applies the differences without dropping a request. A file with a mistake changes nothing.")],
        submit: "Reload",
        run: async () => `Reloaded: ${(await this.order("reload")).changed}.`,
      }),
    );
  }

  /** Details of a replica; `find` returns its newest state. */
  look(find, id) {
    const list = h("dl", { class: "facts" });
    const { service, replica } = find();
    const dialog = this.sheet({
      title: `${service.name} on ${replica.slot}`,
      parts: [list],
      submit: service.image && "Replace…",
      calm: true,
      run: async () => null,
      then: () => this.drain(service.name, replica.slot),
    });
    const show = () => {
      const found = find();
      const rows = found ? facts(found.service, found.replica) : [["State", `${id} is gone`]];
      set(dialog.node, "data-state", found?.replica.state ?? "gone");
      if (!found && dialog.submit) dialog.submit.disabled = true;
      // Unchanged rows stay in place, so that their text can be selected.
      const names = rows.map(([name]) => name).join();
      if (list.names === names) return rows.forEach(([, value], at) => text(list.children[2 * at + 1], value));
      list.names = names;
      list.replaceChildren(...rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
    };
    show();
    const timer = setInterval(show, 1000);
    dialog.node.addEventListener("close", () => clearInterval(timer));
  }
}

/** A dialog that runs a command and shows its error; after it was closed, the error is a toast. */
export function sheet({ title, parts, submit, run, then, other, toast, calm }) {
  const wrong = h("p", { class: "wrong", role: "alert" });
  const asked = h("p", { class: "hint", role: "status" });
  const button = submit && h("button", { type: "submit", class: !calm && "primary" }, submit);
  const another = other && h("button", { type: "button" }, other.label);
  const close = h("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => node.close() }, icon("close"));
  const form = h(
    "form",
    { novalidate: true },
    h("header", {}, h("h2", {}, title), close),
    ...parts,
    wrong,
    asked,
    h("footer", {}, another, h("button", { type: "button", onclick: () => node.close() }, submit && !calm ? "Cancel" : "Close"), button),
  );
  const node = h("dialog", { class: "sheet", "aria-label": title }, form);
  const busy = (isBusy) => {
    set(node, "data-busy", isBusy);
    set(node, "aria-busy", isBusy && "true");
  };
  const act = async (what) => {
    if (node.hasAttribute("data-busy")) return;
    text(wrong, "");
    busy(true);
    const waiting = setTimeout(() => text(asked, "Sent; waiting for the answer…"), SOON);
    let said;
    try {
      said = await what();
    } catch ({ message }) {
      if (node.open) text(wrong, message);
      else toast?.(`${title}: ${message}`, true);
      return;
    } finally {
      clearTimeout(waiting);
      text(asked, "");
      busy(false);
    }
    if (said) toast?.(said);
    // A closed dialog has no next step.
    if (!node.open) return;
    node.close();
    then?.();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const field = form.querySelector(":invalid");
    if (field) {
      text(wrong, field.validationMessage);
      field.focus();
    } else if (run) act(run);
  });
  another?.addEventListener("click", () => act(other.run));
  // A click beside the dialog cancels; one on its scrollbar does not.
  node.addEventListener("pointerdown", ({ clientX, clientY }) => {
    const { left, right, top, bottom } = node.getBoundingClientRect();
    if (clientX < left || clientX > right || clientY < top || clientY > bottom) node.close();
  });
  node.addEventListener("close", () => node.remove());
  document.body.append(node);
  node.showModal();
  (form.querySelector("input") ?? (calm ? close : button) ?? close).focus();
  return { node, form, submit: button };
}
