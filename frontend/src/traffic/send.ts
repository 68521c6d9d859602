/** Sends one request to `/v1/chat/completions` and remembers all that came of it. */
import { type ErrorBody, errorBody } from "@/api/errors";
import { events } from "@/live/sse";
import type { Persona } from "./personas";
import type { Outcome, SentLog, SentRequest } from "./sent";

export interface Message {
  role: "user" | "assistant" | "system";
  content: string;
}

export interface Asked {
  persona: Persona;
  model: string;
  messages: readonly Message[];
  stream: boolean;
  /** Longest reply, in tokens; null: as long as the model likes. */
  maxTokens: number | null;
}

export interface Sender {
  fetch: typeof fetch;
  log: SentLog;
  /** Only ever goes on, in ms. */
  monotonic: () => number;
  /** What time it is, in ms since 1970. */
  wallMs: () => number;
  newId: () => string;
}

/** How much of a reply is remembered, in characters. */
export const MOST_REPLY = 8_000;

/** Those of the reply's headers that say something; what else the browser shows is the transport's. */
const TELLING =
  /^(content-type|retry-after.*|x-request-id|x-ratelimit-.*|ratelimit.*|x-should-retry|x-sluice-.*|www-authenticate)$/;

export function bodyOf({ model, messages, stream, maxTokens }: Asked): string {
  return JSON.stringify({
    model,
    messages,
    ...(maxTokens === null ? {} : { max_tokens: maxTokens }),
    ...(stream ? { stream, stream_options: { include_usage: true } } : {}),
  });
}

/** Never throws: what went wrong stands in what it returns. `onText` hears the reply so far, piece by piece. */
export async function send(
  asked: Asked,
  { fetch, log, monotonic, wallMs, newId }: Sender,
  signal: AbortSignal,
  onText: (text: string) => void = () => undefined,
): Promise<SentRequest> {
  const { id: persona, name, tenant, user, band, key } = asked.persona;
  const startedAt = monotonic();
  let request: SentRequest = {
    ...{ id: newId(), persona, name, tenant, user, band, model: asked.model, stream: asked.stream },
    ...{ atMs: wallMs(), body: bodyOf(asked), outcome: "waiting", status: null, headers: {}, reply: "", cut: false },
    ...{ error: null, firstMs: null, totalMs: null, tokens: null },
  };
  log.begin(request);
  const learn = (more: Partial<SentRequest>) => {
    request = { ...request, ...more };
  };
  try {
    const response = await fetch("/v1/chat/completions", {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json", "x-request-id": request.id },
      body: request.body,
      signal,
      cache: "no-store",
      credentials: "omit",
    });
    learn({ status: response.status, headers: telling(response.headers) });
    if (!response.ok) learn(refusal(response.status, await response.text()));
    else if (asked.stream) {
      await stream(response, (more) => {
        if (request.firstMs === null) learn({ firstMs: monotonic() - startedAt });
        learn(more);
        log.update(request);
        if (more.reply !== undefined) onText(more.reply);
      });
    } else learn(whole(await response.text()));
    if (request.outcome === "waiting") learn({ outcome: "allowed" });
  } catch (error) {
    learn(signal.aborted ? stopped() : broken(request.status, error));
  }
  learn({ totalMs: monotonic() - startedAt, ...bounded(request.reply) });
  log.end(request);
  return request;
}

function telling(headers: Headers): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => TELLING.test(name)));
}

function refusal(status: number, text: string): Partial<SentRequest> {
  const error = errorBody(text, status);
  const queue = error.code === "queue_full" || error.code === "queue_timeout";
  const outcome: Outcome = status !== 429 ? "failed" : queue ? "refused" : "denied";
  return { outcome, error, reply: text };
}

interface Reply {
  error?: ErrorBody;
  usage?: { prompt_tokens: number; completion_tokens: number } | null;
  choices?: { delta?: { content?: string | null } }[];
}

function tokensOf({ usage }: Reply): Pick<SentRequest, "tokens"> | Record<string, never> {
  return usage ? { tokens: { input: usage.prompt_tokens, output: usage.completion_tokens } } : {};
}

function whole(text: string): Partial<SentRequest> {
  return { reply: text, ...tokensOf(JSON.parse(text) as Reply) };
}

/** Reads the reply's events to the end; a stream that ends without saying so has broken off. */
async function stream(response: Response, tell: (more: Partial<SentRequest>) => void): Promise<void> {
  let reply = "";
  for await (const { data } of events(response)) {
    if (data === "[DONE]") return;
    const piece = JSON.parse(data) as Reply;
    if (piece.error) {
      tell({ outcome: "failed", error: piece.error });
      return;
    }
    reply += piece.choices?.[0]?.delta?.content ?? "";
    tell({ reply, ...tokensOf(piece) });
  }
  throw new Error("the stream ended without its last event");
}

function stopped(): Partial<SentRequest> {
  return { outcome: "stopped", error: { message: "Stopped by this page before the reply was complete." } };
}

function broken(status: number | null, error: unknown): Partial<SentRequest> {
  const why = error instanceof Error ? error.message : String(error);
  return status === null
    ? { outcome: "unreachable", error: { message: `No answer came: ${why}.` } }
    : { outcome: "failed", error: { message: `The reply broke off: ${why}.` } };
}

function bounded(reply: string): Pick<SentRequest, "reply" | "cut"> {
  return { reply: reply.slice(0, MOST_REPLY), cut: reply.length > MOST_REPLY };
}
