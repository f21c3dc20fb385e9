// --- edge: asking the service, with patience ---
//
// A replica that has crashed answers 500 until it is replaced, a busy edge answers 503, and a
// connection may break with the answer on it. All of these pass, so they are waited out.

const API = "/api/v1";
const PATIENCE_MS = 60_000;
const WAIT_MIN_MS = 300;
const WAIT_MAX_MS = 5_000;
// No byte moves for this long: the connection is dead.
const SILENCE_MS = 30_000;

// A refusal of the service, in its words; asking again would change nothing.
class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

// Nobody could say yes or no for as long as we were willing to ask.
class Unanswered extends Error {}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// Announces the replica that gave each answer.
const answers = new EventTarget();

// One request, without patience. `unsure` is whether it may have been carried out although no
// answer says so.
function attempt(method, path, body, progress) {
  return new Promise((done) => {
    const request = new XMLHttpRequest();
    request.open(method, path);
    let silence;
    const listen = () => {
      clearTimeout(silence);
      silence = setTimeout(() => request.abort(), SILENCE_MS);
    };
    request.upload.onprogress = (event) => {
      listen();
      if (event.lengthComputable) progress?.(event.loaded / event.total);
    };
    request.onprogress = listen;
    request.onloadend = () => {
      clearTimeout(silence);
      const { status } = request;
      const header = (name) => request.getResponseHeader(name);
      answers.dispatchEvent(new CustomEvent("answer", { detail: { status, header } }));
      let said;
      try {
        said = JSON.parse(request.responseText);
      } catch {
        said = undefined;
      }
      const after = Number(header("retry-after")) * 1000 || 0;
      done({ status, said, after, unsure: [0, 502, 504].includes(status) });
    };
    listen();
    request.send(body === undefined ? null : JSON.stringify(body));
  });
}

// Asks until there is an answer. `settled` says whether a refusal after a lost answer means that
// the first attempt was carried out; `waiting` hears of each wait; `once` gives up where asking
// again could do it twice.
async function ask(method, path, { body, progress, settled, waiting, once, patience = PATIENCE_MS } = {}) {
  const until = Date.now() + patience;
  let wait = WAIT_MIN_MS;
  let lost = false;
  for (;;) {
    const { status, said, after, unsure } = await attempt(method, path, body, progress);
    if (status >= 200 && status < 300) return said;
    const text = said?.error ?? `the answer was ${status}`;
    if (lost && settled?.(status, text)) return undefined;
    const passes = status === 0 || status >= 500 || status === 408 || status === 429;
    if (!passes) throw new Refused(status, text);
    lost ||= unsure;
    if ((once && unsure) || Date.now() + wait > until) {
      throw new Unanswered(navigator.onLine ? "The service does not answer." : "There is no connection.");
    }
    waiting?.(status);
    // Not all at once: whoever waits has company.
    await sleep(Math.max(wait, after) * (0.75 + Math.random() / 2));
    wait = Math.min(wait * 2, WAIT_MAX_MS);
  }
}

// An error as a sentence for a person.
function inWords(error) {
  if (!(error instanceof Refused || error instanceof Unanswered)) console.error(error);
  const text = error.message || String(error);
  return text[0].toUpperCase() + text.slice(1) + (/[.!?…]$/.test(text) ? "" : ".");
}

// --- end of edge ---

