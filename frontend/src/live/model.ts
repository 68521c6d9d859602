/** Everything the page knows of the server, put together from the frames of the live feed. Bounded, however long it runs. */
import type { LiveEnding, LiveFrame, LiveHello, LivePool, LiveRequest, WindowNow } from "@/api/types";
import { ServerClock } from "./clock";
import { WatchedLog } from "./log";
import { Seconds } from "./seconds";

/** How many of the last requests are remembered. */
export const MOST_REQUESTS = 200;

const MOST_WINDOWS = 500;

const NO_BANDS: readonly string[] = [];

export interface SeenRequest extends LiveRequest {
  ending: LiveEnding | null;
}

export interface SeenWindow extends WindowNow {
  /** When it was so, by the server's clock. */
  atMs: number;
}

export interface Totals {
  allowed: number;
  denied: number;
  shadow: number;
  refused: number;
  failed: number;
  finished: number;
  /** Denials by policy. */
  deniedBy: Record<string, number>;
}

export function windowKey(window: { policy: string; subject: string }): string {
  return JSON.stringify([window.policy, window.subject]);
}

function noTotals(): Totals {
  return { allowed: 0, denied: 0, shadow: 0, refused: 0, failed: 0, finished: 0, deniedBy: {} };
}

export class LiveModel {
  readonly clock: ServerClock;
  readonly log = new WatchedLog();
  readonly seconds = new Seconds();
  hello: LiveHello | null = null;
  frame: LiveFrame | null = null;
  pools: LivePool[] = [];
  windows = new Map<string, SeenWindow>();
  totals: Totals = noTotals();
  private seen = new Map<string, SeenRequest>();

  constructor(monotonic: () => number = () => performance.now()) {
    this.clock = new ServerClock(monotonic);
  }

  /** A stream has begun. What came by others before it is kept, but for the watched log, which is told anew. */
  begin(hello: LiveHello): void {
    this.clock.reset();
    this.clock.observe(hello.at_ms);
    this.hello = hello;
    this.log.watch(hello.watching);
    for (const request of this.seen.values()) this.log.decided(request);
  }

  take(frame: LiveFrame): void {
    this.frame = frame;
    this.clock.observe(frame.at_ms);
    this.seconds.add(frame.at_ms, frame.counts ?? []);
    for (const counts of frame.counts ?? []) {
      for (const name of ["allowed", "denied", "shadow", "refused", "failed", "finished"] as const) {
        this.totals[name] += counts[name] ?? 0;
      }
    }
    for (const [policy, times] of Object.entries(frame.denied_by ?? {})) {
      this.totals.deniedBy[policy] = (this.totals.deniedBy[policy] ?? 0) + times;
    }
    if (frame.log) this.log.take(frame.log, frame.at_ms);
    for (const request of frame.requests ?? []) {
      this.log.decided(request);
      this.seen.set(request.id, { ...request, ending: null });
    }
    for (const ending of frame.endings ?? []) {
      const request = this.seen.get(ending.id);
      if (request) this.seen.set(ending.id, { ...request, ending });
    }
    this.log.forget(frame.at_ms);
    for (const window of frame.windows ?? []) {
      const key = windowKey(window);
      this.windows.delete(key); // a Map keeps the order of arrival: the last to change shall stand last
      this.windows.set(key, { ...window, atMs: frame.at_ms });
    }
    if (frame.pools) this.pools = frame.pools;
    trim(this.seen, MOST_REQUESTS);
    trim(this.windows, MOST_WINDOWS);
  }

  /** Newest first. */
  get requests(): SeenRequest[] {
    return [...this.seen.values()].reverse();
  }

  request(id: string): SeenRequest | undefined {
    return this.seen.get(id);
  }

  get bands(): readonly string[] {
    return this.hello?.bands ?? NO_BANDS;
  }

  clear(): void {
    this.clock.reset();
    this.log.clear();
    this.seconds.clear();
    this.hello = null;
    this.frame = null;
    this.pools = [];
    this.windows = new Map();
    this.totals = noTotals();
    this.seen = new Map();
  }
}

/** Drops the oldest, of which a Map knows the order. */
function trim(map: Map<string, unknown>, most: number): void {
  for (const key of map.keys()) {
    if (map.size <= most) return;
    map.delete(key);
  }
}
