import { beforeEach, expect, test } from "vitest";
import { aDenied, STAN } from "../../test/sent";
import { type Asked, bodyOf, MOST_REPLY, type Sender, send } from "./send";
import { SentLog, type SentRequest } from "./sent";

const ASKED: Asked = {
  persona: STAN,
  model: "sim-small",
  messages: [{ role: "user", content: "What is a sluice?" }],
  stream: false,
  maxTokens: 4,
};

const WHOLE = {
  choices: [{ message: { role: "assistant", content: "A gate." } }],
  usage: { prompt_tokens: 9, completion_tokens: 3 },
};

let nowMs: number;
let log: SentLog;
let asked: { url: string; init: RequestInit }[];
/** What the log had to say of the request, each time that it was told more. */
let learnt: SentRequest[];

class Telling extends SentLog {
  override begin(request: SentRequest): void {
    learnt.push(request);
    super.begin(request);
  }
  override update(request: SentRequest): void {
    learnt.push(request);
    super.update(request);
  }
}

beforeEach(() => {
  nowMs = 100;
  learnt = [];
  log = new Telling();
  asked = [];
});

function sender(answer: () => Response | Promise<Response>): Sender {
  return {
    fetch: async (url, init = {}) => {
      asked.push({ url: String(url), init });
      nowMs += 7;
      return answer();
    },
    log,
    monotonic: () => nowMs,
    wallMs: () => 1_700_000_000_000,
    newId: () => "id-1",
  };
}

function never(): AbortSignal {
  return new AbortController().signal;
}

function delta(content: string): string {
  return `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`;
}

/** A reply in pieces; each comes 10 ms after the one before. `end`: what happens after the last. */
function streamed(
  pieces: string[],
  end: (controller: ReadableStreamDefaultController) => void = (c) => c.close(),
): Response {
  const left = pieces.map((piece) => new TextEncoder().encode(piece));
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const next = left.shift();
        if (!next) return end(controller);
        nowMs += 10;
        controller.enqueue(next);
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { headers: { "content-type": "text/event-stream", "x-request-id": "id-1" } });
}

function refused(status: number, code: string, headers: Record<string, string> = {}): Response {
  return Response.json({ error: { message: `Because of ${code}.`, type: "requests", code } }, { status, headers });
}

test("a plain reply: what was asked, how, and what came", async () => {
  const answer = Response.json(WHOLE, {
    headers: { "x-request-id": "id-1", "x-ratelimit-limit-requests": "10", server: "proxy" },
  });
  const request = await send(
    ASKED,
    sender(() => answer),
    never(),
  );
  expect(asked[0]?.url).toBe("/v1/chat/completions");
  expect(asked[0]?.init).toMatchObject({
    method: "POST",
    headers: { authorization: "Bearer sk-demo-standard", "content-type": "application/json", "x-request-id": "id-1" },
    body: '{"model":"sim-small","messages":[{"role":"user","content":"What is a sluice?"}],"max_tokens":4}',
    cache: "no-store",
    credentials: "omit",
  });
  expect(request).toMatchObject({
    ...{ id: "id-1", persona: "demo-standard", tenant: "globex", band: "standard", outcome: "allowed", status: 200 },
    ...{ atMs: 1_700_000_000_000, totalMs: 7, firstMs: null, tokens: { input: 9, output: 3 }, error: null, cut: false },
    reply: JSON.stringify(WHOLE),
  });
  expect(request.headers).toEqual({ "content-type": "application/json", "x-ratelimit-limit-requests": "10", "x-request-id": "id-1" }); // biome-ignore format: a list
  expect(log.get("id-1")).toBe(request);
  expect(learnt[0]).toMatchObject({ outcome: "waiting", status: null, totalMs: null });
});

test("nothing of what is remembered holds the key", async () => {
  await send(
    ASKED,
    sender(() => Response.json(WHOLE)),
    never(),
  );
  expect(JSON.stringify([...learnt, log.get("id-1")])).not.toContain(STAN.key);
});

test.each<[string, Partial<Asked>, object]>([
  ["no cap on the reply where there is none", { maxTokens: null }, {}],
  ["for a stream, that its usage be told", { stream: true, maxTokens: 4 }, { max_tokens: 4, stream: true, stream_options: { include_usage: true } }], // biome-ignore format: a row
])("the body says %s", (_, of, more) => {
  expect(JSON.parse(bodyOf({ ...ASKED, ...of }))).toEqual({ model: "sim-small", messages: ASKED.messages, ...more });
});

test("a streamed reply is heard piece by piece, and its first piece is timed", async () => {
  const pieces = [delta("A "), delta("gate."), `data: ${JSON.stringify({ choices: [], usage: WHOLE.usage })}\n\n`, "data: [DONE]\n\n"]; // biome-ignore format: a list
  const heard: string[] = [];
  const request = await send({ ...ASKED, stream: true }, sender(() => streamed(pieces)), never(), (text) => heard.push(text)); // biome-ignore format: a call
  expect(heard).toEqual(["A ", "A gate.", "A gate."]);
  expect(request).toMatchObject({ outcome: "allowed", reply: "A gate.", tokens: { input: 9, output: 3 } });
  expect(request.firstMs).toBe(17);
  expect(request.totalMs).toBe(47);
  expect(learnt.map(({ reply, outcome }) => [reply, outcome])).toEqual([["", "waiting"], ["A ", "waiting"], ["A gate.", "waiting"], ["A gate.", "waiting"]]); // biome-ignore format: a list
});

test.each<[string, () => Response, string]>([
  [
    "that ends without its last event",
    () => streamed([delta("A ")]),
    "The reply broke off: the stream ended without its last event.",
  ],
  [
    "that is cut by the network",
    () => streamed([delta("A ")], (c) => c.error(new TypeError("network error"))),
    "The reply broke off: network error.",
  ],
  [
    "that the server itself ends with an error",
    () =>
      streamed([
        delta("A "),
        `data: ${JSON.stringify({ error: { message: "The model failed.", code: "model_failed" } })}\n\n`,
      ]),
    "The model failed.",
  ],
])("a stream %s has failed, and what came of it is kept", async (_, answer, message) => {
  const request = await send({ ...ASKED, stream: true }, sender(answer), never());
  expect(request).toMatchObject({ outcome: "failed", status: 200, reply: "A ", error: { message } });
  expect(request.totalMs).not.toBeNull();
});

test("a 429 of a policy: denied, with what it says of itself", async () => {
  const { reply, headers, error } = aDenied();
  const request = await send(
    ASKED,
    sender(() => new Response(reply, { status: 429, headers })),
    never(),
  );
  expect(request).toMatchObject({ outcome: "denied", status: 429, error, reply });
  expect(request.headers).toMatchObject(headers);
});

test.each([
  [429, "queue_full", "refused"],
  [429, "queue_timeout", "refused"],
  [429, "rate_limit_exceeded", "denied"],
  [503, "limits_unavailable", "failed"],
  [400, "request_exceeds_limit", "failed"],
  [401, "invalid_api_key", "failed"],
])("a %i %s: %s", async (status, code, outcome) => {
  const request = await send({ ...ASKED, stream: true }, sender(() => refused(status, code, { "retry-after": "2" })), never()); // biome-ignore format: a call
  expect(request).toMatchObject({ outcome, status, error: { code }, headers: { "retry-after": "2" } });
});

test("an error that some proxy wrote as HTML is told by its beginning", async () => {
  const html = `<html><h1>502 Bad Gateway</h1>${"x".repeat(500)}</html>`;
  const request = await send(
    ASKED,
    sender(() => new Response(html, { status: 502 })),
    never(),
  );
  expect(request).toMatchObject({ outcome: "failed", status: 502, reply: html });
  expect(request.error?.message).toBe(html.slice(0, 200));
});

test("a success that is no JSON is a failure, and is told as one", async () => {
  const request = await send(
    ASKED,
    sender(() => new Response("<p>Hello</p>")),
    never(),
  );
  expect(request).toMatchObject({ outcome: "failed", status: 200 });
});

test("no server: no answer came", async () => {
  const request = await send(
    ASKED,
    sender(() => Promise.reject(new TypeError("Failed to fetch"))),
    never(),
  );
  expect(request).toMatchObject({ outcome: "unreachable", status: null, error: { message: "No answer came: Failed to fetch." } }); // biome-ignore format: a value
});

test("stopped before an answer, and in the middle of one", async () => {
  const controller = new AbortController();
  const abort = () => {
    controller.abort();
    throw controller.signal.reason;
  };
  const before = await send(ASKED, sender(abort), controller.signal);
  expect(before).toMatchObject({ outcome: "stopped", status: null });

  const second = new AbortController();
  const cut = streamed([delta("A ")], (stream) => {
    second.abort();
    stream.error(second.signal.reason);
  });
  const middle = await send(
    { ...ASKED, stream: true },
    sender(() => cut),
    second.signal,
  );
  expect(middle).toMatchObject({ outcome: "stopped", status: 200, reply: "A " });
});

test("of a long reply the first part is remembered", async () => {
  const long = streamed([delta("x".repeat(MOST_REPLY)), delta("yz"), "data: [DONE]\n\n"]);
  const request = await send(
    { ...ASKED, stream: true },
    sender(() => long),
    never(),
  );
  expect(request.reply).toBe("x".repeat(MOST_REPLY));
  expect(request.cut).toBe(true);
  expect(request.outcome).toBe("allowed");
});
