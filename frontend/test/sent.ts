/** A request as the page remembers it, for tests: each with sensible values, of which a test names those it is about. */
import type { Persona } from "@/traffic/personas";
import type { SentRequest } from "@/traffic/sent";

let number = 0;

export function aSent(of: Partial<SentRequest> = {}): SentRequest {
  number += 1;
  return {
    id: `sent-${number}`,
    persona: "demo-standard",
    name: "stan of globex",
    tenant: "globex",
    user: "stan",
    band: "standard",
    model: "sim-small",
    stream: false,
    atMs: 1_000_000,
    body: '{"model":"sim-small","messages":[{"role":"user","content":"What is a sluice?"}]}',
    outcome: "waiting",
    status: null,
    headers: {},
    reply: "",
    cut: false,
    error: null,
    firstMs: null,
    totalMs: null,
    tokens: null,
    ...of,
  };
}

/** Denied by the window of ten seconds. */
export function aDenied(of: Partial<SentRequest> = {}): SentRequest {
  const error = {
    message: "Rate limit reached: policy 'key-burst' (API_KEY) allows 10 requests in 10 s for 'demo-standard'.",
    type: "requests",
    param: null,
    code: "rate_limit_exceeded",
    policy: "key-burst",
    scope: "API_KEY",
  };
  return aSent({
    outcome: "denied",
    status: 429,
    error,
    reply: JSON.stringify({ error }),
    headers: {
      "ratelimit-policy": '"everyone";q=3000;w=60, "key-burst";q=10;w=10, "user-slots";q=8;qu="concurrent-requests"',
      ratelimit: '"everyone";r=2990;t=60, "key-burst";r=0;t=4, "user-slots";r=8;t=0',
      "retry-after": "4",
      "retry-after-ms": "3120",
    },
    totalMs: 4,
    ...of,
  });
}

export const STAN: Persona = {
  ...{ id: "demo-standard", name: "stan of globex", key: "sk-demo-standard", tenant: "globex", user: "stan" },
  ...{ band: "standard", demo: true },
};
