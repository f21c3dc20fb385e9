// Calls of talk.proto by grpc-js; each prints a line of JSON. suites/grpc_js.py reads them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { PACKAGES, PROTO, HOST, ADDRESS, ROOT } = process.env;
const require = createRequire(`${PACKAGES}/`);
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const definition = loader.loadSync(PROTO, { keepCase: true, defaults: true });
const { Talk } = grpc.loadPackageDefinition(definition).conformance;
const MAX_BYTES = 32 << 20;
const credentials = ROOT ? grpc.credentials.createSsl(readFileSync(ROOT)) : grpc.credentials.createInsecure();
const client = new Talk(ADDRESS, credentials, {
  "grpc.ssl_target_name_override": HOST,
  "grpc.default_authority": HOST,
  "grpc.max_send_message_length": MAX_BYTES,
  "grpc.max_receive_message_length": MAX_BYTES,
});

const deadline = (seconds = 20) => ({ deadline: Date.now() + seconds * 1000 });
const name = () => `js-${Math.random()}`;
const metadata = (pairs) => {
  const all = new grpc.Metadata();
  for (const [key, value] of pairs) all.add(key, value);
  return all;
};

/** The answer, and all metadata that came with it. */
const unary = (ask, { method = "Unary", pairs = [], seconds = 20 } = {}) =>
  new Promise((resolve, reject) => {
    const came = new grpc.Metadata();
    const call = client[method](ask, metadata(pairs), deadline(seconds), (error, answer) => {
      setImmediate(() => (error ? reject(error) : resolve({ answer, came })));
    });
    call.on("metadata", (head) => came.merge(head));
    call.on("status", (status) => came.merge(status.metadata));
  });

/** Reads a stream of answers to its end. */
const all = (call) =>
  new Promise((resolve, reject) => {
    const answers = [];
    call.on("data", (answer) => answers.push(answer));
    call.on("end", () => resolve(answers));
    call.on("error", (error) => reject(Object.assign(error, { answers })));
  });

async function fails(code, promise) {
  const error = await promise.then(
    () => assert.fail(`no error instead of ${grpc.status[code]}`),
    (error) => error,
  );
  assert.equal(error.code, code, `${error.code} ${error.details}`);
  return error;
}

const ODD = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n 100%";
const BYTES = Buffer.from(Array.from({ length: 256 }, (_, at) => at));

const checks = {
  "an empty message": async () => {
    assert.equal((await unary({})).answer.payload.length, 0);
  },
  "messages of 16 MiB": async () => {
    const payload = Buffer.alloc(16 << 20, "tidegate");
    assert.ok((await unary({ payload })).answer.payload.equals(payload));
  },
  "answers as a stream": async () => {
    const answers = await all(client.Down({ count: 1000, size: 1000 }, deadline()));
    assert.deepEqual(answers.map((answer) => answer.number), Array.from({ length: 1000 }, (_, at) => at));
  },
  "requests as a stream": async () => {
    const answer = await new Promise((resolve, reject) => {
      const call = client.Up(deadline(), (error, answer) => (error ? reject(error) : resolve(answer)));
      for (let at = 0; at < 1000; at += 1) call.write({ payload: Buffer.alloc(5000) });
      call.end();
    });
    assert.equal(answer.number, 1000);
    assert.equal(answer.payload.toString(), "5000000");
  },
  "both at once, each message after the answer to the one before": async () => {
    const call = client.Both(deadline());
    let turn = 0;
    call.on("data", (answer) => {
      assert.equal(answer.payload.toString(), String(turn));
      turn += 1;
      if (turn < 100) call.write({ payload: Buffer.from(String(turn)) });
      else call.end();
    });
    call.write({ payload: Buffer.from("0") });
    await new Promise((resolve, reject) => call.on("end", resolve).on("error", reject));
    assert.equal(turn, 100);
  },
  "200 calls at once": async () => {
    const asks = Array.from({ length: 200 }, (_, at) => unary({ payload: Buffer.from(String(at)), pause_ms: 100 }));
    const answers = await Promise.all(asks);
    answers.forEach(({ answer }, at) => assert.equal(answer.payload.toString(), String(at)));
  },
  "a deadline": async () => {
    const began = Date.now();
    await fails(grpc.status.DEADLINE_EXCEEDED, unary({ pause_ms: 3000, call: name() }, { seconds: 0.4 }));
    assert.ok(Date.now() - began < 2000);
  },
  "the server knows the deadline": async () => {
    const left = (await unary({}, { seconds: 9 })).answer.seconds_left;
    assert.ok(left > 5 && left < 9.5, String(left));
  },
  "a stream that is cancelled after its first message": async () => {
    const call = client.Down({ count: 10_000, pause_ms: 10 }, deadline());
    call.once("data", () => call.cancel());
    await fails(grpc.status.CANCELLED, all(call));
    await unary({});
  },
  "metadata as text and as bytes": async () => {
    const pairs = [["x-head-a", "one"], ["x-head-a", "two"], ["x-tail-a-bin", BYTES], ["x-head-b-bin", BYTES]];
    const { came } = await unary({}, { pairs });
    // Node.js joins them.
    assert.equal(came.get("x-head-a").join(", "), "one, two");
    assert.ok(came.get("x-tail-a-bin")[0].equals(BYTES));
    assert.ok(came.get("x-head-b-bin")[0].equals(BYTES));
  },
  "a message with spaces, line ends and characters beyond ASCII": async () => {
    const error = await fails(grpc.status.UNKNOWN, unary({ code: 2, message: ODD }));
    assert.equal(error.details, ODD);
  },
  "details of an error": async () => {
    const pairs = [["grpc-status-details-bin", BYTES]];
    const error = await fails(grpc.status.INTERNAL, unary({ code: 13, message: "x" }, { pairs }));
    assert.ok(error.metadata.get("grpc-status-details-bin")[0].equals(BYTES));
  },
  "a method that is not there": async () => {
    await fails(grpc.status.UNIMPLEMENTED, unary({}, { method: "Missing" }));
  },
};
for (let code = 1; code <= 16; code += 1) {
  checks[`${grpc.status[code]} in trailers alone`] = async () => {
    const error = await fails(code, unary({ code, message: "as asked" }));
    assert.equal(error.details, "as asked");
  };
  checks[`${grpc.status[code]} after messages`] = async () => {
    const error = await fails(code, all(client.Down({ count: 3, code, message: "after three" }, deadline())));
    assert.equal(error.answers.length, 3);
    assert.equal(error.details, "after three");
  };
}

for (const [shown, check] of Object.entries(checks)) {
  const error = await check().then(
    () => null,
    (failure) => String(failure.message ?? failure),
  );
  console.log(JSON.stringify({ name: shown, error }));
}
client.close();
