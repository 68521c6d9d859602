/**
 * When to send: rates that do not wait for answers, bounded by what a browser can carry.
 *
 * Every lane gathers credit at its rate; a request costs one. Credit is kept for one request only: what could not be
 * sent in its time is not made up for, but counted as held back. What was asked for once (`once`) goes before that. All
 * lanes together start at most so many in any second, by a log of when they did, and have at most so many in flight;
 * when that is reached they take turns. No clock runs while there is nothing to do.
 */

/** The page's own limits. */
export const MOST_PER_SECOND = 50;
/**
 * A browser opens six connections at most to one server where it speaks HTTP/1.1, which is all there is without TLS. One
 * carries the live feed for as long as the page is open: these are the others.
 */
export const MOST_AT_ONCE = 5;
export const MOST_WANTED = 200;
export const TICK_MS = 20;
/** Nobody looks: then nothing is sent any more. */
export const HIDDEN_MS = 60_000;

export interface Timers {
  /** In ms; only ever goes on. */
  now: () => number;
  /** Calls again and again; returns what ends that. */
  every: (ms: number, run: () => void) => () => void;
}

export interface Pace {
  perSecond: number;
  /** Most in flight for the rate; what is asked for once is not held to it. */
  atOnce: number;
}

interface Lane<T> {
  pace: Pace | null;
  credit: number;
  wanted: ((result: T | undefined) => void)[];
  inFlight: number;
  heldBack: number;
  controller: AbortController;
}

export interface LaneNow {
  running: boolean;
  inFlight: number;
  wanted: number;
  /** Requests that the rate asked for and that could not be sent in their time. */
  heldBack: number;
}

export class Scheduler<T> {
  private lanes = new Map<string, Lane<T>>();
  private turn = 0;
  private starts: number[] = [];
  private tickedAt = 0;
  private hiddenAt: number | null = null;
  private endClock: (() => void) | null = null;

  /** `start` sends one request of a lane and must settle; `stoppedByItself` is told why everything was ended. */
  constructor(
    private readonly start: (lane: string, signal: AbortSignal) => Promise<T>,
    private readonly timers: Timers,
    private readonly stoppedByItself: (why: "hidden") => void = () => undefined,
    private readonly most = { perSecond: MOST_PER_SECOND, atOnce: MOST_AT_ONCE },
  ) {}

  /** Sends at this pace from now on. */
  run(name: string, pace: Pace): void {
    const lane = this.lane(name);
    if (lane.pace === null) lane.credit = 1;
    lane.pace = pace;
    this.go();
  }

  /** Sends so many as soon as may be; resolves when all have ended, with `undefined` for what was stopped before. */
  once(name: string, times: number): Promise<(T | undefined)[]> {
    const lane = this.lane(name);
    const room = Math.max(0, Math.min(times, MOST_WANTED - lane.wanted.length));
    const results = Array.from({ length: room }, () => new Promise<T | undefined>((done) => lane.wanted.push(done)));
    this.go();
    return Promise.all(results);
  }

  /** Aborted when this lane is ended next: for what is prepared before it can be sent. */
  signal(name: string): AbortSignal {
    return this.lane(name).controller.signal;
  }

  /** Ends what this lane does, what it has in flight included. */
  halt(name: string): void {
    const lane = this.lanes.get(name);
    if (!lane) return;
    lane.pace = null;
    for (const done of lane.wanted.splice(0)) done(undefined);
    lane.controller.abort();
    lane.controller = new AbortController();
    this.rest();
  }

  stop(): void {
    for (const name of this.lanes.keys()) this.halt(name);
  }

  hidden(is: boolean): void {
    this.hiddenAt = is ? this.timers.now() : null;
  }

  now(name: string): LaneNow {
    const lane = this.lanes.get(name);
    return {
      running: Boolean(lane?.pace),
      inFlight: lane?.inFlight ?? 0,
      wanted: lane?.wanted.length ?? 0,
      heldBack: Math.floor(lane?.heldBack ?? 0),
    };
  }

  get inFlight(): number {
    return [...this.lanes.values()].reduce((sum, lane) => sum + lane.inFlight, 0);
  }

  get busy(): boolean {
    return [...this.lanes.values()].some((lane) => lane.pace !== null || lane.wanted.length > 0);
  }

  private lane(name: string): Lane<T> {
    const known = this.lanes.get(name);
    if (known) return known;
    const lane = { pace: null, credit: 0, wanted: [], inFlight: 0, heldBack: 0, controller: new AbortController() };
    this.lanes.set(name, lane);
    return lane;
  }

  private go(): void {
    if (this.endClock === null && this.busy) {
      this.tickedAt = this.timers.now();
      this.endClock = this.timers.every(TICK_MS, () => this.tick());
    }
    this.pump();
  }

  private rest(): void {
    if (this.busy) return;
    this.endClock?.();
    this.endClock = null;
  }

  private tick(): void {
    const now = this.timers.now();
    if (this.hiddenAt !== null && now - this.hiddenAt >= HIDDEN_MS) {
      this.stop();
      this.stoppedByItself("hidden");
      return;
    }
    const passed = (now - this.tickedAt) / 1000;
    this.tickedAt = now;
    for (const lane of this.lanes.values()) {
      if (lane.pace) lane.credit += lane.pace.perSecond * passed;
    }
    this.holdBack(2); // a late tick may start one more than there is credit for, and no more: no burst after a pause
    this.pump();
    this.holdBack(1);
  }

  private holdBack(most: number): void {
    for (const lane of this.lanes.values()) {
      if (!lane.pace || lane.credit <= most) continue;
      lane.heldBack += lane.credit - most;
      lane.credit = most;
    }
  }

  /** Starts whatever may start now, one of each lane in turn. */
  private pump(): void {
    const lanes = [...this.lanes];
    for (let idle = 0; idle < lanes.length && this.mayStart(); this.turn += 1) {
      const next = lanes[this.turn % lanes.length];
      if (next && this.startOne(...next)) idle = 0;
      else idle += 1;
    }
    this.rest();
  }

  private mayStart(): boolean {
    const since = this.timers.now() - 1000;
    while (this.starts[0] !== undefined && this.starts[0] <= since) this.starts.shift();
    return this.starts.length < this.most.perSecond && this.inFlight < this.most.atOnce;
  }

  private startOne(name: string, lane: Lane<T>): boolean {
    const done = lane.wanted.shift();
    if (!done) {
      if (!lane.pace || lane.credit < 1 || lane.inFlight >= lane.pace.atOnce) return false;
      lane.credit -= 1;
    }
    this.starts.push(this.timers.now());
    lane.inFlight += 1;
    const ended = (result: T | undefined) => {
      lane.inFlight -= 1;
      done?.(result);
      this.pump();
    };
    this.start(name, lane.controller.signal).then(ended, () => ended(undefined));
    return true;
  }
}
