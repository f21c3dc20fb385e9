// --- acts: the categories and the grid ---

const PAGE = 24;
// As many as the service puts into one answer.
const ANSWER_MAX = 100;

let categories = {};
let chosen = null; // a category; null: all
let shown = PAGE;
let cards = [];
const items = new Map();

const imageOf = (card) => `${API}/acts/${card.actId}/image?v=${card.imgSha256}`;

async function refresh() {
  const [about, wanted] = [chosen, shown];
  const [found, list] = await Promise.all([ask("GET", `${API}/categories`), load(about, wanted)]);
  // Somebody chose another category while this one was on its way.
  if (about !== chosen || wanted !== shown) return;
  categories = found;
  cards = list;
  drawChips();
  drawGrid();
}

async function load(category, count) {
  const only = category === null ? "" : `&category=${encodeURIComponent(category)}`;
  const list = [];
  // One more than is shown tells whether there are more.
  for (let start = 1; start <= count + 1; start += ANSWER_MAX) {
    const end = Math.min(start + ANSWER_MAX - 1, count + 1);
    const part = await ask("GET", `${API}/acts?start=${start}&end=${end}${only}`);
    list.push(...part);
    if (part.length < end - start + 1) break;
  }
  // Acts that came in between two parts shift the second.
  return [...new Map(list.map((card) => [card.actId, card])).values()];
}

// Refreshes, and says so when that is impossible.
async function look() {
  $("grid").setAttribute("aria-busy", "true");
  try {
    await refresh();
  } catch (error) {
    if (error instanceof Refused && error.status === 404 && chosen !== null) {
      notice(`Somebody removed the category ${chosen}.`);
      return choose(null);
    }
    notice(inWords(error), ["Try again", look]);
  }
  $("grid").setAttribute("aria-busy", "false");
}

async function choose(category) {
  chosen = category;
  shown = PAGE;
  cards = [];
  drawChips();
  skeleton();
  await look();
  // A new category has its chip only now.
  $("chips").querySelector("[aria-pressed=true]")?.scrollIntoView({ block: "nearest", inline: "center" });
}

function drawChips() {
  const chip = (name, label, count) => {
    const button = make("button", { type: "button", "aria-pressed": String(name === chosen) }, label);
    if (count !== undefined) button.append(make("span", { textContent: count.toLocaleString() }));
    button.addEventListener("click", () => choose(name));
    return make("li", {}, button);
  };
  const all = Object.values(categories).reduce((sum, count) => sum + count, 0);
  const names = Object.keys(categories);
  const add = make("button", { type: "button", className: "add", textContent: "New category" });
  add.addEventListener("click", () => openCategory());
  const focused = [...$("chips").querySelectorAll("button")].indexOf(document.activeElement);
  $("chips").replaceChildren(
    chip(null, "All", all),
    ...names.map((name) => chip(name, name, categories[name])),
    make("li", {}, add),
  );
  if (focused >= 0) $("chips").querySelectorAll("button")[focused]?.focus();
}

function drawGrid() {
  const there = cards.slice(0, shown);
  for (const id of [...items.keys()]) if (!there.some((card) => card.actId === id)) items.delete(id);
  arrange($("grid"), there.map(item));
  $("title").textContent = chosen ?? "Newest";
  const count = chosen === null ? undefined : categories[chosen];
  const all = count ?? Object.values(categories).reduce((sum, each) => sum + each, 0);
  $("count").textContent = all ? many(all, "act", "acts") : "";
  $("further").hidden = cards.length <= shown;
  drawEmpty(there.length);
}

function drawEmpty(count) {
  $("empty").hidden = count > 0 || $("uploads").children.length > 0;
  const [title, text, button] = $("empty").children;
  const none = Object.keys(categories).length === 0;
  title.textContent = none ? "Nothing here yet" : "No photo here yet";
  text.textContent = none
    ? "Begin with a category, such as Trees or Neighbours, and then add the first photo."
    : "Be the first: take a photo of something good that was done.";
  button.textContent = none ? "Add a category" : "Add a photo";
  button.onclick = () => (none ? openCategory() : openCompose());
}

// Kept from one drawing to the next: what changes in an act is its upvotes and its age.
function item(card) {
  const kept = items.get(card.actId);
  if (kept) {
    kept.update(card);
    return kept.element;
  }
  const image = make("img", { alt: "", loading: "lazy", decoding: "async", src: imageOf(card) });
  let tries = 0;
  image.addEventListener("load", () => image.classList.add("here"));
  // A replica that has just crashed has no photo; the next one has.
  image.addEventListener("error", async () => {
    if ((tries += 1) > 6) return;
    await sleep(300 * tries);
    image.src = `${imageOf(card)}&again=${tries}`;
  });
  const open = make("button", { type: "button", className: "photo" }, image);
  const line = make("p");
  const upvotes = make("span");
  const upvote = make("button", { type: "button", className: "upvote" }, icon(UP), upvotes);
  const caption = make("h3", { textContent: card.caption || "Without words" });
  const foot = make("div", { className: "foot" }, make("div", {}, caption, line), upvote);
  const element = make("li", {}, make("article", {}, open, foot));
  const act = { element, card, update };
  function update(now) {
    act.card = now;
    line.textContent = `${now.username} · ${age(now.timestamp)}`;
    upvotes.textContent = now.upvotes.toLocaleString();
    upvote.setAttribute("aria-label", `Upvote “${now.caption}”, ${many(now.upvotes, "upvote", "upvotes")}`);
    open.setAttribute("aria-label", `Open “${now.caption}” by ${now.username}, in ${now.categoryName}`);
  }
  open.addEventListener("click", () => view(act.card));
  upvote.addEventListener("click", () => vote(act.card, upvote).catch((error) => notice(inWords(error))));
  update(card);
  items.set(card.actId, act);
  return element;
}

// `DD-MM-YYYY:SS-MM-HH`, in UTC.
const stamp = (date) => {
  const two = (number) => String(number).padStart(2, "0");
  const day = [two(date.getUTCDate()), two(date.getUTCMonth() + 1), String(date.getUTCFullYear()).padStart(4, "0")];
  const time = [date.getUTCSeconds(), date.getUTCMinutes(), date.getUTCHours()].map(two);
  return `${day.join("-")}:${time.join("-")}`;
};

function age(timestamp) {
  const [day, month, year, second, minute, hour] = timestamp.split(/[-:]/).map(Number);
  const seconds = (Date.now() - Date.UTC(year, month - 1, day, hour, minute, second)) / 1000;
  if (seconds < 45) return "just now";
  const units = [["year", 31_536_000], ["month", 2_592_000], ["day", 86_400], ["hour", 3_600], ["minute", 60]];
  const [unit, length] = units.find(([, length]) => seconds >= length) ?? ["minute", 60];
  const format = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });
  return format.format(-Math.max(1, Math.floor(seconds / length)), unit);
}

function skeleton() {
  items.clear();
  $("empty").hidden = true;
  $("further").hidden = true;
  $("title").textContent = chosen ?? "Newest";
  $("count").textContent = "";
  $("grid").replaceChildren(...Array.from({ length: 8 }, () => make("li", { className: "ghost", "aria-hidden": "true" })));
}

$("further").addEventListener("click", () => {
  shown += PAGE;
  look();
});

// --- end of acts ---

