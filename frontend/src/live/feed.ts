/** Keeps the live feed open: connects, connects again when it breaks, and says how it stands. */
import { ApiError } from "@/api/errors";
import type { LiveEnd, LiveFrame, LiveHello } from "@/api/types";
import { type LiveModel, windowKey } from "./model";
import { events } from "./sse";

export interface Watched {
  policy: string;
  /** Empty for the window of a GLOBAL policy. */
  subject: string;
}

export type FeedState =
  | { is: "idle" }
  | { is: "connecting" }
  | { is: "live"; scope: "everybody" | "tenant" }
  | { is: "paused" }
  /** `retryAt`: by `performance.now()`. */
  | { is: "away"; why: string; retryInMs: number; retryAt: number }
  | { is: "refused"; why: string; status: number };

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 5_000;
/** A stream that says nothing for so long is broken: the server says something every second. */
const SILENT_MS = 5_000;

/** Whoever lists windows has heard by then that one is gone; and one of its name may be made anew. */
const UNKNOWN_MS = 60_000;

class Silence extends Error {}

/** What a header can carry; a key has nothing else. */
const SENDABLE = /^[\x21-\x7e]+$/;

export class Feed {
  state: FeedState = { is: "idle" };
  private key = "";
  private watched: Watched | null = null;
  private running: AbortController | null = null;
  private retryMs = FIRST_RETRY_MS;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private everybody = true;
  /** When the server said that it knows no such window, by `windowKey`. */
  private unknown = new Map<string, number>();

  /** `changed` is called whenever the model or the state is not what it was. */
  constructor(
    private readonly model: LiveModel,
    private readonly changed: () => void,
  ) {}

  /** Follows the feed with this key from now on; an empty key ends it. */
  use(key: string): void {
    if (key === this.key) return;
    this.key = key;
    this.everybody = true;
    this.unknown.clear();
    this.model.clear();
    this.restart();
  }

  get watching(): Watched | null {
    return this.watched;
  }

  /** Shows the key again that was refused: it may be known by now. */
  again(): void {
    if (this.state.is === "refused") this.restart();
  }

  /** Whether the server has said of late that it knows no such window: it is not worth being chosen again. */
  isUnknown(window: Watched): boolean {
    return performance.now() - (this.unknown.get(windowKey(window)) ?? Number.NEGATIVE_INFINITY) < UNKNOWN_MS;
  }

  /** Follows this window's log from now on; where the server does not know it (any more), none. */
  watch(watched: Watched | null): void {
    if (watched?.policy === this.watched?.policy && watched?.subject === this.watched?.subject) return;
    this.watched = watched;
    if (this.state.is !== "paused") this.restart();
  }

  /** Nothing more is heard until `resume`; what happens meanwhile is not made up for, and the picture stands still. */
  pause(): void {
    this.model.clock.hold();
    this.stop({ is: "paused" });
  }

  resume(): void {
    if (this.state.is === "paused") this.restart();
  }

  close(): void {
    this.stop({ is: "idle" });
  }

  private restart(): void {
    this.retryMs = FIRST_RETRY_MS;
    if (this.key && !SENDABLE.test(this.key)) {
      const why = "This is no key: keys have only letters, digits, - and _.";
      this.stop({ is: "refused", why, status: 401 });
      return;
    }
    this.stop({ is: this.key ? "connecting" : "idle" });
    if (this.key) void this.run();
  }

  private stop(state: FeedState): void {
    clearTimeout(this.timer);
    this.running?.abort();
    this.running = null;
    this.become(state);
  }

  private become(state: FeedState): void {
    this.state = state;
    this.changed();
  }

  private async run(): Promise<void> {
    const controller = new AbortController();
    this.running = controller;
    try {
      const why = await this.follow(controller);
      if (this.running === controller) this.away(why);
    } catch (error) {
      if (this.running !== controller) return;
      // What has no code is not our server's word: a proxy answers 404 while there is no server behind it.
      const status = error instanceof ApiError && error.body.code !== undefined ? error.status : null;
      if (status === 403 && this.everybody) {
        this.everybody = false; // this key may see its own tenant's share
        this.restart();
      } else if ((status === 404 || status === 422) && this.watched) {
        this.unknown.set(windowKey(this.watched), performance.now());
        this.model.windows.delete(windowKey(this.watched));
        this.watched = null; // its policy is gone, or this key may not see it: everything else still can be shown
        this.restart();
      } else if (error instanceof ApiError && (status === 401 || status === 403)) {
        this.stop({ is: "refused", why: error.message, status });
      } else {
        const said = error instanceof ApiError || error instanceof Silence;
        this.away(said ? error.message : "The server cannot be reached.");
      }
    }
  }

  /** Until the stream ends; says why it did. */
  private async follow(controller: AbortController): Promise<string> {
    const path = this.everybody ? "/admin/live" : "/v1/limits/live";
    const query = this.watched ? `?${new URLSearchParams({ ...this.watched })}` : "";
    const why = `Nothing was heard from the server for ${SILENT_MS / 1000} s.`;
    const silent = () => setTimeout(() => controller.abort(new Silence(why)), SILENT_MS);
    let timer = silent();
    try {
      const response = await fetch(path + query, {
        headers: { authorization: `Bearer ${this.key}` },
        signal: controller.signal,
        cache: "no-store",
      });
      for await (const event of events(response)) {
        if (this.running !== controller) return "";
        clearTimeout(timer);
        timer = silent();
        if (event.event === "hello") this.model.begin(JSON.parse(event.data) as LiveHello);
        else if (event.event === "frame") this.model.take(JSON.parse(event.data) as LiveFrame);
        else if (event.event === "end") return (JSON.parse(event.data) as LiveEnd).message;
        this.retryMs = FIRST_RETRY_MS;
        this.state = { is: "live", scope: this.everybody ? "everybody" : "tenant" };
        this.changed();
      }
      return "The connection has ended.";
    } finally {
      clearTimeout(timer);
    }
  }

  private away(why: string): void {
    const retryInMs = this.retryMs;
    this.stop({ is: "away", why, retryInMs, retryAt: performance.now() + retryInMs });
    this.retryMs = Math.min(LONGEST_RETRY_MS, this.retryMs * 2);
    this.timer = setTimeout(() => void this.run(), retryInMs);
  }
}
