/** What this page has sent: the last requests in full, and exact totals of all. No key is kept here. */
import { useSyncExternalStore } from "react";
import type { ErrorBody } from "@/api/errors";

export const MOST_SENT = 200;

/** How often those who look are told, at most, in ms. */
export const TELL_EVERY_MS = 250;

/**
 * What became of a request. `waiting`: no answer yet. `allowed`: a success. `denied`: 429 by a policy. `refused`: 429 by
 * the queue. `failed`: another error, or a reply that broke off. `unreachable`: no answer came. `stopped`: by the page.
 */
export type Outcome = "waiting" | "allowed" | "denied" | "refused" | "failed" | "unreachable" | "stopped";

export interface SentRequest {
  /** Its `x-request-id`. */
  id: string;
  /** The persona's id. */
  persona: string;
  name: string;
  tenant: string;
  user: string;
  band: string;
  model: string;
  stream: boolean;
  /** When it was sent, in ms since 1970, by the server's clock where that is known. */
  atMs: number;
  /** The body, as JSON. */
  body: string;
  outcome: Outcome;
  status: number | null;
  headers: Readonly<Record<string, string>>;
  /** The reply's text where it was streamed, else its body: the first part of it where it is long. */
  reply: string;
  cut: boolean;
  error: ErrorBody | null;
  /** By the browser's monotonic clock, in ms since it was sent: to the first piece of the reply, and to its end. */
  firstMs: number | null;
  totalMs: number | null;
  /** As the server counted them. */
  tokens: { input: number; output: number } | null;
}

export interface SentTotals {
  sent: number;
  allowed: number;
  denied: number;
  refused: number;
  /** Failed, unreachable and stopped. */
  other: number;
}

export interface SentNow {
  /** Newest first. */
  requests: readonly SentRequest[];
  /** By persona. */
  totals: ReadonlyMap<string, SentTotals>;
}

export const NO_TOTALS: SentTotals = { sent: 0, allowed: 0, denied: 0, refused: 0, other: 0 };

export class SentLog {
  private kept = new Map<string, SentRequest>();
  private totals = new Map<string, SentTotals>();
  private listeners = new Set<() => void>();
  private timer: ReturnType<typeof setTimeout> | null = null;
  private stale = false;
  private told: SentNow = { requests: [], totals: new Map() };

  /** A request goes out, or more is known of it. What was dropped from the ring stays dropped. */
  begin(request: SentRequest): void {
    this.kept.set(request.id, request);
    for (const id of this.kept.keys()) {
      if (this.kept.size <= MOST_SENT) break;
      this.kept.delete(id);
    }
    this.count(request.persona, "sent");
    this.changed();
  }

  update(request: SentRequest): void {
    if (!this.kept.has(request.id)) return;
    this.kept.set(request.id, request);
    this.changed();
  }

  /** It has come to its end: counted once, whether it is still remembered or not. */
  end(request: SentRequest): void {
    const { outcome } = request;
    if (outcome === "allowed" || outcome === "denied" || outcome === "refused") this.count(request.persona, outcome);
    else this.count(request.persona, "other");
    if (this.kept.has(request.id)) this.kept.set(request.id, request);
    this.changed();
  }

  get(id: string): SentRequest | undefined {
    return this.kept.get(id);
  }

  /** As of the last time that anybody was told. */
  readonly now = (): SentNow => this.told;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  clear(): void {
    this.kept.clear();
    this.totals.clear();
    this.changed();
  }

  private count(persona: string, what: keyof SentTotals): void {
    const totals = this.totals.get(persona) ?? NO_TOTALS;
    this.totals.set(persona, { ...totals, [what]: totals[what] + 1 });
  }

  /** Tells at once after a quiet while, and else no more often than it may. */
  private changed(): void {
    this.stale = true;
    if (this.timer === null) this.tell();
  }

  private tell(): void {
    this.stale = false;
    this.told = { requests: [...this.kept.values()].reverse(), totals: new Map(this.totals) };
    this.timer = setTimeout(() => {
      this.timer = null;
      if (this.stale) this.tell();
    }, TELL_EVERY_MS);
    for (const listener of this.listeners) listener();
  }
}

export const sent = new SentLog();

/** All of it: renders again four times a second at most. */
export function useSent(): SentNow {
  return useSyncExternalStore(sent.subscribe, sent.now);
}

export function useTotals(persona: string): SentTotals {
  return useSyncExternalStore(sent.subscribe, () => sent.now().totals.get(persona)) ?? NO_TOTALS;
}
