// --- upload: each on its way by itself, in view, until it is there ---

const UPLOAD_PATIENCE_MS = 5 * 60_000;
let under_way = 0;

// Milliseconds since 1970 in front, so that acts of one second stay in order; 2 ** 53 is far.
const newId = () => Date.now() * 4096 + Math.floor(Math.random() * 4096);

const exists = (status, text) => status === 400 && text.endsWith("exists already");

function upload(act) {
  const bar = make("progress", { max: 1, value: 0, "aria-label": `Uploading “${act.caption}”` });
  const state = make("p", { textContent: "On its way…" });
  const image = make("img", { alt: "", className: "here", src: URL.createObjectURL(act.photo) });
  const buttons = make("div", { className: "row" });
  const body = make("div", { className: "foot up" }, make("h3", { textContent: act.caption }), bar, state, buttons);
  const element = make("li", {}, make("article", {}, make("div", { className: "photo" }, image), body));
  $("uploads").prepend(element);
  drawEmpty(cards.length);

  const leave = () => {
    URL.revokeObjectURL(image.src);
    element.remove();
    drawEmpty(cards.length);
  };
  const button = (words, action) => {
    const made = make("button", { type: "button", textContent: words });
    made.addEventListener("click", action);
    return made;
  };
  const run = async () => {
    buttons.replaceChildren();
    element.classList.remove("failed");
    state.textContent = "On its way…";
    under_way += 1;
    try {
      await send(act, {
        progress(part) {
          bar.value = part;
          state.textContent = part < 1 ? `${Math.round(part * 100)} %` : "Almost there…";
        },
        waiting(status) {
          bar.value = 0;
          state.textContent =
            status === 0 && !navigator.onLine
              ? "No connection. It goes on by itself when there is one."
              : "The service is busy. It goes on by itself…";
        },
      });
      bar.value = 1;
      // Where it is to be seen.
      await ([null, act.category].includes(chosen) ? look() : choose(act.category));
      leave();
      notice(`“${act.caption}” is shared.`);
    } catch (error) {
      element.classList.add("failed");
      state.textContent = inWords(error);
      buttons.replaceChildren(button("Try again", run), button("Discard", leave));
    } finally {
      under_way -= 1;
    }
  };
  return run();
}

async function send(act, { progress, waiting }) {
  const patience = UPLOAD_PATIENCE_MS;
  if (!Object.hasOwn(categories, act.category)) {
    await addCategory(act.category, { waiting, patience }).catch((error) => {
      if (!(error instanceof Refused && exists(error.status, error.message))) throw error;
    });
  }
  const body = {
    username: act.username,
    timestamp: stamp(new Date()),
    caption: act.caption,
    categoryName: act.category,
    imgType: act.photo.type,
    imgB64: await base64(act.photo),
  };
  // The same id each time: an attempt whose answer was lost is found again, not repeated.
  act.id ??= newId();
  const post = () => ask("POST", `${API}/acts`, {
    body: { actId: act.id, ...body },
    progress, waiting, patience,
    settled: exists,
  });
  try {
    await post();
  } catch (error) {
    if (!(error instanceof Refused && exists(error.status, error.message))) throw error;
    // Taken by another act at the very first attempt, or by this one in an earlier run.
    if (act.tried) return;
    act.id = newId();
    await post();
  } finally {
    act.tried = true;
  }
}

const addCategory = (name, options = {}) =>
  ask("POST", `${API}/categories`, { body: [name], settled: exists, ...options });

addEventListener("beforeunload", (event) => {
  if (under_way > 0) event.preventDefault();
});

// --- end of upload ---

