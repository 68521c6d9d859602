import { beforeEach, describe, expect, it } from "vitest";
import type { Persona } from "@/traffic/personas";
import type { Asked } from "@/traffic/send";
import type { SentRequest } from "@/traffic/sent";
import { again, forget, messagesOf, say, useConversation } from "./conversation";

const persona: Persona = {
  ...{ id: "demo-standard", name: "stan of globex", key: "sk-demo-standard" },
  ...{ tenant: "globex", user: "stan", band: "standard", demo: true },
};
const whom = { persona, model: "small" };

function result(more: Partial<SentRequest> = {}): SentRequest {
  return {
    ...{ id: "r1", persona: persona.id, name: persona.name, tenant: "globex", user: "stan", band: "standard" },
    ...{ model: "small", stream: true, atMs: 0, body: "{}", outcome: "allowed", status: 200, headers: {} },
    ...{ reply: "", cut: false, error: null, firstMs: 5, totalMs: 9, tokens: { input: 1, output: 2 } },
    ...more,
  };
}

const DENIED = result({
  outcome: "denied",
  status: 429,
  headers: { "retry-after-ms": "2500" },
  error: { message: "no", type: "requests", code: "rate_limit_exceeded", policy: "key-burst", scope: "API_KEY" },
});

/** Answers as told, in turn, and remembers what was asked. */
function server(...answers: { text: string; result: SentRequest }[]) {
  const asked: Asked[] = [];
  const sending = async (what: Asked, _signal: AbortSignal, onText: (text: string) => void) => {
    asked.push(what);
    const answer = answers.shift();
    if (!answer) throw new Error("asked more often than expected");
    if (answer.text) onText(answer.text);
    return answer.result;
  };
  return { asked, sending };
}

beforeEach(forget);

const said = () => useConversation.getState().turns.map(({ role, text }) => [role, text]);

describe("a conversation", () => {
  it("tells the model everything that was said before", async () => {
    const { asked, sending } = server({ text: "Hi.", result: result() }, { text: "A gate.", result: result() });
    await say("Hello", whom, sending);
    await say(" What is a sluice? ", whom, sending);
    expect(said()).toEqual([
      ["user", "Hello"],
      ["assistant", "Hi."],
      ["user", "What is a sluice?"],
      ["assistant", "A gate."],
    ]);
    expect(asked[1]?.messages.map(({ content }) => content)).toEqual(["Hello", "Hi.", "What is a sluice?"]);
    expect(useConversation.getState().stop).toBeNull();
  });

  it("says why there is no reply and when there may be one, and asks again for the same", async () => {
    const { asked, sending } = server({ text: "", result: DENIED }, { text: "Hi.", result: result() });
    const before = performance.now();
    await say("Hello", whom, sending);
    const denied = useConversation.getState().turns.at(-1);
    expect(denied?.problem?.title).toBe("Denied by key-burst");
    expect(denied?.retryAtMs).toBeGreaterThanOrEqual(before + 2_500);
    await again(whom, sending);
    expect(asked.map(({ messages }) => messages)).toEqual([asked[0]?.messages, asked[0]?.messages]);
    expect(said()).toEqual([
      ["user", "Hello"],
      ["assistant", "Hi."],
    ]);
  });

  it("asks again only for a reply that failed, and says nothing while one is under way", async () => {
    const { sending } = server({ text: "Hi.", result: result() });
    await again(whom, sending);
    await say("   ", whom, sending);
    expect(said()).toEqual([]);
    const first = say("Hello", whom, sending);
    await say("And?", whom, sending);
    await again(whom, sending);
    await first;
    await again(whom, sending);
    expect(said()).toHaveLength(2);
  });

  it("keeps what came of a reply that broke off, and leaves both out of what the model is told next", async () => {
    const broken = result({ outcome: "failed", status: 200, error: { message: "The reply broke off." } });
    const { asked, sending } = server({ text: "Well, ", result: broken }, { text: "Yes.", result: result() });
    await say("Hello", whom, sending);
    expect(said().at(-1)).toEqual(["assistant", "Well, "]);
    await say("Are you there?", whom, sending);
    expect(asked[1]?.messages).toEqual([{ role: "user", content: "Are you there?" }]);
  });

  it("stops a reply, and forgets one that ends after the conversation has", async () => {
    let signal: AbortSignal | undefined;
    let end: (done: SentRequest) => void = () => undefined;
    const slow = (_: Asked, given: AbortSignal) => {
      signal = given;
      return new Promise<SentRequest>((resolve) => {
        end = resolve;
      });
    };
    const going = say("Hello", whom, slow);
    expect(useConversation.getState().stop).not.toBeNull();
    forget();
    expect(signal?.aborted).toBe(true);
    end(result({ outcome: "stopped" }));
    await going;
    expect(useConversation.getState()).toMatchObject({ turns: [], stop: null });
  });
});

it("has nothing to tell of what nobody answered, but for the last", () => {
  expect(messagesOf([])).toEqual([]);
});
