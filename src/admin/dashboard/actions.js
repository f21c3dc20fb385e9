// What may be asked of Tidegate, and the sheets that ask for it.
import { h, icon, set, storage, text } from "./dom.js";
import { facts } from "./replicas.js";
import { many, short } from "./words.js";

const KEPT_AS = "tidegate-token";
/** What takes longer than this, in ms, is said to be under way. */
const SOON = 400;
const tab = storage("sessionStorage");

export class Actions {
  /** `toast` says what became of an order, `changed` hears when somebody signed in or out. */
  constructor({ toast, changed }) {
    Object.assign(this, { toast, changed });
    // Gone with the tab, and never in an address.
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

  /** What was answered; throws what is to be shown. */
  async order(path, body, token = this.token) {
    const headers = { authorization: `Bearer ${token}` };
    if (body) headers["content-type"] = "application/json";
    let answer;
    try {
      answer = await fetch(`api/v1/${path}`, { method: "POST", headers, body: body && JSON.stringify(body) });
    } catch {
      throw new Error("Tidegate does not answer. Nothing is known of whether it was done.");
    }
    const said = await answer.json().catch(() => ({}));
    if (answer.ok) return said;
    if (answer.status === 401) {
      if (token === this.token) this.keep(null);
      throw new Error("That is not the token.");
    }
    throw new Error(said.error ?? `Tidegate answered with ${answer.status}.`);
  }

  signIn(then) {
    let given = null;
    const token = h("input", { id: "token", type: "password", required: true, autocomplete: "off", spellcheck: "false", autocapitalize: "none" });
    this.sheet({
      title: "Sign in",
      parts: [
        h("p", {}, "Looking is free. To change something, show that you may."),
        h("label", { for: "token" }, "Token"),
        token,
        h("p", { class: "hint" }, "It is in the file ", h("code", {}, "admin-token"), " in Tidegate’s state folder, or in its variable ", h("code", {}, "TIDEGATE_ADMIN_TOKEN"), ". This tab forgets it when it is closed."),
      ],
      submit: "Sign in",
      run: async () => {
        given = token.value.trim();
        // Browsers do not send other characters.
        if (/[^\x20-\x7e]/.test(given)) throw new Error("That is not the token.");
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

  /** Asks for the token first if it is not known. */
  with(run) {
    if (this.token) run();
    else this.signIn(run);
  }

  scale(service) {
    this.with(() => {
      const { name, max, desired, by_hand } = service;
      // None at all is nothing to hold: it could not be woken.
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
          h("p", { class: "hint" }, by_hand == null ? `Its policy wants ${desired} now, of ${min} to ${max}. A number by hand holds until the policy may decide again.` : `Held at ${by_hand} by hand, of ${min} to ${max}.`),
        ],
        submit: "Hold",
        other: by_hand == null ? null : { label: "Let the policy decide", run: () => this.scaleTo(name, "auto") },
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
          h("p", { class: "hint" }, "Empty: the configured one, as its name is understood now. Replicas are replaced one by one; a version that fails goes back by itself."),
        ],
        submit: "Deploy",
        run: async () => {
          const image = field.value.trim();
          const deployed = await this.order(`services/${encodeURIComponent(name)}/deploy`, image ? { image } : {});
          return deployed.begun ? `${name}: ${short(deployed.version)} is on its way.` : `${name}: every replica runs ${short(deployed.version)} already.`;
        },
      });
    });
  }

  drain(name, slot) {
    this.with(() =>
      this.sheet({
        title: `Drain ${slot} of ${name}`,
        parts: [h("p", {}, "Another replica starts first. Then this one gets no new requests, finishes those that it has, and is removed.")],
        submit: "Drain and replace",
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
        parts: [h("p", {}, "Tidegate reads its file again and takes over what is different, without dropping a request. A file with a mistake changes nothing.")],
        submit: "Reload",
        run: async () => `Reloaded: ${(await this.order("reload")).changed}.`,
      }),
    );
  }

  /** A replica at a closer look; `find` has the newest picture of it. */
  look(find, id) {
    const list = h("dl", { class: "facts" });
    const { service, replica } = find();
    const dialog = this.sheet({
      title: `${service.name} on ${replica.slot}`,
      parts: [list],
      submit: service.image && "Drain and replace…",
      calm: true,
      run: async () => null,
      then: () => this.drain(service.name, replica.slot),
    });
    const show = () => {
      const found = find();
      const rows = found ? facts(found.service, found.replica) : [["State", `${id} is gone`]];
      set(dialog.node, "data-state", found?.replica.state ?? "gone");
      if (!found && dialog.submit) dialog.submit.disabled = true;
      // What does not change stays, so that it can be selected.
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

/** A dialog that asks, acts, and says what went wrong where it was asked; when closed meanwhile, in a toast. */
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
    const waiting = setTimeout(() => text(asked, "Asked; waiting for the answer…"), SOON);
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
    // Whoever closed it meanwhile does not want to go on from here.
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
  // A click beside it is a no; one on its scrollbar is not.
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
