/** What the live feed says, for tests: each with sensible values, of which a test names those that it is about. */
import type { LiveFrame, LiveHello, LiveLog, LivePool, LiveRequest, WindowNow } from "@/api/types";

export const BANDS = ["internal", "premium", "standard", "batch"];

export function aWindow(of: Partial<WindowNow> = {}): WindowNow {
  return {
    policy: "key-burst",
    scope: "API_KEY",
    subject: "demo-standard",
    unit: "requests",
    limit: 10,
    window_s: 10,
    used: 0,
    remaining: 10,
    reset_after_s: 0,
    enforced: true,
    ...of,
  };
}

export function aHello(of: Partial<LiveHello> = {}): LiveHello {
  return { at_ms: 1_000_000, interval_ms: 100, tenant: null, bands: BANDS, watching: null, ...of };
}

let number = 0;

export function aFrame(of: Partial<LiveFrame> = {}): LiveFrame {
  number += 1;
  return { number, at_ms: 1_000_000, lag_ms: 12, store: "ok", replicas: 1, sampled: 1, ...of } as LiveFrame;
}

export function aLog(of: Partial<LiveLog> = {}): LiveLog {
  return { window: aWindow(), next_free_s: 0, fresh: false, entries: [], changed: [], profile: null, ...of };
}

export function aRequest(of: Partial<LiveRequest> = {}): LiveRequest {
  number += 1;
  return {
    id: `request-${number}`,
    at_ms: 1_000_000,
    tenant: "globex",
    user: "stan",
    api_key: "demo-standard",
    model: "sim-small",
    band: "standard",
    outcome: "allowed",
    denied_by: null,
    denied_subject: null,
    retry_after_s: 0,
    shadow: [],
    ...of,
  };
}

/** Denied by the window of `aWindow`. */
export function aDenial(of: Partial<LiveRequest> = {}): LiveRequest {
  return aRequest({ outcome: "denied", denied_by: "key-burst", denied_subject: "demo-standard", ...of });
}

export function aPool(of: Partial<LivePool> = {}): LivePool {
  return {
    name: "sim-small",
    slots: 4,
    bands: BANDS.map((name) => ({ name, waiting: 0, running: 0, oldest_wait_ms: 0, overtakings: 0 })),
    ...of,
  };
}
