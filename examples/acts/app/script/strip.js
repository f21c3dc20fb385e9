// --- strip: which replica answered, how many there are, and what became of them ---

const PING_MS = 1_000;
const PING_OPEN_MS = 350;
const COLUMNS = 48;
const LINES = 5;

// By slot, in order: who sits there and how it is.
const replicas = new Map();
// Replica that was met last in each seat, also when nobody is there now.
const seats = new Map();
const trace = [];
let ready;

// Hears of every answer, whatever was asked.
answers.addEventListener("answer", ({ detail: { status, header } }) => {
  const [slot, count] = place(header("x-tidegate-replica"));
  const name = header("x-acts-replica");
  if (count !== undefined) scaled(count);
  // Without a name of its own, the edge answered and not a replica.
  const key = name === null ? undefined : (slot ?? name);
  if (key !== undefined) met(key, name, status);
  mark(key, status);
  show(key, status);
});

// Reads the edge's header, as in `8001;ready=3`.
function place(text) {
  const found = text?.match(/^(\d+);ready=(\d+)$/);
  return found ? [found[1], Number(found[2])] : [undefined, undefined];
}

function scaled(count) {
  if (ready !== undefined && count !== ready) {
    happened(count > ready ? `One more is ready: ${count} now` : `One less is ready: ${count} now`);
  }
  ready = count;
  // A crashed replica has left, or else the one that has been silent for longest.
  const silent = [...replicas].sort(([, a], [, b]) => a.well - b.well || a.heard - b.heard);
  while (replicas.size > Math.max(count, 1)) replicas.delete(silent.shift()[0]);
}

function met(key, name, status) {
  const before = replicas.get(key);
  const well = status < 500 && status !== 0;
  if (before?.well && !well) happened(`${key} answers ${status}: it has crashed`);
  if (seats.has(key) && seats.get(key) !== name) happened(`${key} is a new container`);
  seats.set(key, name);
  replicas.set(key, { well, heard: performance.now() });
}

function mark(key, status) {
  trace.push({ key, well: status > 0 && status < 500 });
  if (trace.length > COLUMNS) trace.shift();
}

function happened(text) {
  const time = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  $("happened").prepend(make("li", {}, make("time", { textContent: time }), text));
  while ($("happened").children.length > LINES) $("happened").lastChild.remove();
}

const inOrder = (keys) => [...keys].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));

function show(key, status) {
  const keys = inOrder(replicas.keys());
  const lamps = keys.map((one) => {
    const state = replicas.get(one).well ? (one === key ? "lit" : "on") : "bad";
    return make("i", { className: state });
  });
  // Ready, and yet to be heard of.
  for (let more = keys.length; more < (ready ?? 0); more += 1) lamps.push(make("i"));
  $("lamps").replaceChildren(...lamps);
  $("said").textContent = words(key, status);
  draw();
}

function words(key, status) {
  if (status === 0) return navigator.onLine ? "Nobody answers. Trying again…" : "No connection. Trying again…";
  if (key === undefined) return "The edge is waiting for a replica…";
  const who = status >= 500 ? `${key} has crashed` : `${key} answered`;
  return ready === undefined ? who : `${who} · ${many(ready, "replica", "replicas")}`;
}

// A row for each replica, and for those that have left as long as an answer of theirs is in view.
function draw() {
  if (!$("strip").open) return;
  const seen = trace.map(({ key }) => key).filter((key) => key !== undefined);
  const rows = inOrder(new Set([...replicas.keys(), ...seen]));
  $("trace").style.setProperty("--rows", Math.max(rows.length, 1));
  const names = rows.map((key, row) => {
    const name = make("b", { className: replicas.has(key) ? "" : "left", textContent: key.slice(0, 6) });
    name.style.gridRow = String(row + 1);
    return name;
  });
  const dots = trace.map(({ key, well }, column) => {
    const dot = make("i", { className: well ? "" : "bad" });
    // The names have the first column. What no replica answered is in the middle of all rows.
    dot.style.gridColumn = String(COLUMNS - trace.length + column + 2);
    dot.style.gridRow = key === undefined ? "1 / -1" : String(rows.indexOf(key) + 1);
    return dot;
  });
  $("trace").replaceChildren(...names, ...dots);
}

// Asks who is there while somebody looks. The edge does not count these for scaling.
async function watch(changed) {
  let seen;
  for (;;) {
    await sleep($("strip").open ? PING_OPEN_MS : PING_MS);
    if (document.hidden) continue;
    const { said } = await attempt("GET", "/app/ping");
    if (said?.revision === undefined || said.revision === seen) continue;
    if (seen !== undefined) await changed();
    seen = said.revision;
  }
}

$("crash").addEventListener("click", async () => {
  try {
    await ask("POST", `${API}/_crash`, { once: true });
    happened("A replica was told to crash");
  } catch (error) {
    notice(inWords(error));
  }
});

// --- end of strip ---

