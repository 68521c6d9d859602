import { beforeEach, describe, expect, test } from "vitest";
import { HIDDEN_MS, MOST_AT_ONCE, MOST_PER_SECOND, MOST_WANTED, Scheduler, TICK_MS, type Timers } from "./scheduler";

/** Time that goes on only when told to. */
class Clock implements Timers {
  ms = 5_000;
  private ticking = new Set<() => void>();

  now = () => this.ms;

  every = (_: number, run: () => void) => {
    this.ticking.add(run);
    return () => this.ticking.delete(run);
  };

  get runs(): boolean {
    return this.ticking.size > 0;
  }

  /** One long step, as of a busy machine: the timer calls once, late. */
  late(ms: number): void {
    this.ms += ms;
    for (const run of [...this.ticking]) run();
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= TICK_MS) {
      this.late(TICK_MS);
      await settled();
    }
  }
}

async function settled(): Promise<void> {
  for (let turns = 0; turns < 5; turns += 1) await Promise.resolve();
}

interface Begun {
  lane: string;
  atMs: number;
  signal: AbortSignal;
  end: (result?: string) => void;
  fail: () => void;
}

let clock: Clock;
let begun: Begun[];
let stoppedWhy: string[];
/** Whether requests end at once; else they stay in flight until a test ends them, or the signal does. */
let quick: boolean;
let scheduler: Scheduler<string>;

beforeEach(() => {
  clock = new Clock();
  begun = [];
  stoppedWhy = [];
  quick = true;
  scheduler = new Scheduler<string>(
    (lane, signal) =>
      new Promise((resolve, reject) => {
        const one = {
          lane,
          atMs: clock.ms,
          signal,
          end: (result = "done") => resolve(result),
          fail: () => reject(new Error("no")),
        };
        begun.push(one);
        signal.addEventListener("abort", () => resolve("stopped"));
        if (quick) one.end();
      }),
    clock,
    (why) => stoppedWhy.push(why),
  );
});

function of(lane: string): Begun[] {
  return begun.filter((each) => each.lane === lane);
}

/** The most that began within any second. */
function busiest(starts: readonly Begun[]): number {
  return Math.max(
    ...starts.map(({ atMs }) => starts.filter((each) => each.atMs <= atMs && each.atMs > atMs - 1000).length),
  );
}

describe("a rate", () => {
  test("begins at once and goes on evenly", async () => {
    scheduler.run("a", { perSecond: 6.25, atOnce: 2 });
    expect(begun).toHaveLength(1);
    await clock.pass(800);
    expect(begun.map(({ atMs }) => atMs - 5_000)).toEqual([0, 160, 320, 480, 640, 800]);
  });

  test("does not wait for answers", async () => {
    quick = false;
    scheduler.run("a", { perSecond: 6.25, atOnce: 5 });
    await clock.pass(640);
    expect(scheduler.now("a")).toEqual({ running: true, inFlight: 5, wanted: 0, heldBack: 0 });
  });

  test("has no more in flight than it may; what that costs is held back, and never made up for", async () => {
    quick = false;
    scheduler.run("a", { perSecond: 10, atOnce: 2 });
    await clock.pass(2_000);
    expect(begun).toHaveLength(2);
    const { heldBack } = scheduler.now("a");
    expect(heldBack).toBeGreaterThanOrEqual(17);
    expect(heldBack).toBeLessThanOrEqual(18);
    quick = true;
    for (const one of begun) one.end();
    await clock.pass(1_000);
    expect(begun.length - 2).toBeLessThanOrEqual(11);
  });

  test("after a late tick there is no burst", async () => {
    scheduler.run("a", { perSecond: 10, atOnce: 5 });
    await settled();
    clock.late(30_000);
    await settled();
    expect(begun).toHaveLength(3);
  });

  test("may change while it runs", async () => {
    scheduler.run("a", { perSecond: 1, atOnce: 1 });
    await clock.pass(1_000);
    scheduler.run("a", { perSecond: 10, atOnce: 1 });
    await clock.pass(1_000);
    expect(begun).toHaveLength(12);
  });

  test("one that fails counts as ended", async () => {
    quick = false;
    scheduler.run("a", { perSecond: 1, atOnce: 1 });
    begun[0]?.fail();
    await settled();
    expect(scheduler.inFlight).toBe(0);
    await clock.pass(1_000);
    expect(begun).toHaveLength(2);
  });
});

describe("the page's own limits hold for all together", () => {
  test("no more than 50 in any second, of which everybody has a share", async () => {
    for (const name of ["a", "b", "c", "d"]) scheduler.run(name, { perSecond: 20, atOnce: 5 });
    await clock.pass(5_000);
    expect(busiest(begun)).toBe(MOST_PER_SECOND);
    for (const name of ["a", "b", "c", "d"]) expect(of(name).length).toBeGreaterThan(50);
  });

  test("no more than five at once, in turns", async () => {
    quick = false;
    void scheduler.once("greedy", 20);
    scheduler.run("modest", { perSecond: 1, atOnce: 1 });
    expect(scheduler.inFlight).toBe(MOST_AT_ONCE);
    begun[0]?.end();
    await settled();
    expect(begun.map(({ lane }) => lane)).toEqual(["greedy", "greedy", "greedy", "greedy", "greedy", "modest"]);
    expect(scheduler.inFlight).toBe(MOST_AT_ONCE);
  });
});

describe("what is asked for once", () => {
  test("goes as soon as may be, and says how each ended", async () => {
    expect(await scheduler.once("a", 3)).toEqual(["done", "done", "done"]);
    expect(new Set(begun.map(({ atMs }) => atMs))).toEqual(new Set([5_000]));
    expect(clock.runs).toBe(false);
  });

  test("goes before the rate and costs it nothing", async () => {
    scheduler.run("a", { perSecond: 1, atOnce: 1 });
    void scheduler.once("a", 4);
    await settled();
    expect(begun).toHaveLength(5);
    await clock.pass(1_000);
    expect(begun).toHaveLength(6);
  });

  test("is bounded: 200 wait at most", async () => {
    quick = false;
    void scheduler.once("a", 150);
    void scheduler.once("a", 150);
    // Of the first 150, five are on their way already.
    expect(scheduler.now("a").wanted).toBe(MOST_WANTED);
  });
});

describe("an end", () => {
  test("of one lane takes back what is in flight and what waits, and leaves the others alone", async () => {
    quick = false;
    const results = scheduler.once("a", 6);
    scheduler.run("b", { perSecond: 1, atOnce: 1 });
    scheduler.halt("a");
    expect(await results).toEqual(["stopped", "stopped", "stopped", "stopped", "stopped", undefined]);
    expect(of("a").every(({ signal }) => signal.aborted)).toBe(true);
    expect(scheduler.now("b")).toMatchObject({ running: true, inFlight: 1 });
    expect(of("b")[0]?.signal.aborted).toBe(false);
  });

  test("of all stops the clock: nothing begins any more, however long one waits", async () => {
    scheduler.run("a", { perSecond: 20, atOnce: 5 });
    await clock.pass(500);
    expect(clock.runs).toBe(true);
    scheduler.stop();
    const before = begun.length;
    expect(clock.runs).toBe(false);
    expect(scheduler.busy).toBe(false);
    await clock.pass(5_000);
    expect(begun).toHaveLength(before);
  });

  test("is not for ever: it can be begun again", async () => {
    scheduler.run("a", { perSecond: 1, atOnce: 1 });
    scheduler.stop();
    await settled();
    scheduler.run("a", { perSecond: 1, atOnce: 1 });
    await settled();
    expect(begun).toHaveLength(2);
    expect(begun[1]?.signal.aborted).toBe(false);
  });

  test("comes by itself when nobody has looked for a minute, and not before", async () => {
    scheduler.run("a", { perSecond: 1, atOnce: 1 });
    scheduler.hidden(true);
    await clock.pass(HIDDEN_MS - TICK_MS);
    expect(scheduler.busy).toBe(true);
    await clock.pass(TICK_MS);
    expect(scheduler.busy).toBe(false);
    expect(stoppedWhy).toEqual(["hidden"]);
  });

  test("does not come when somebody looked in between", async () => {
    scheduler.run("a", { perSecond: 1, atOnce: 1 });
    scheduler.hidden(true);
    await clock.pass(HIDDEN_MS / 2);
    scheduler.hidden(false);
    scheduler.hidden(true);
    await clock.pass(HIDDEN_MS / 2 + 1_000);
    expect(scheduler.busy).toBe(true);
    expect(stoppedWhy).toEqual([]);
  });
});

test("of a lane that nobody knows there is nothing to say, and nothing to stop", () => {
  scheduler.halt("nobody");
  expect(scheduler.now("nobody")).toEqual({ running: false, inFlight: 0, wanted: 0, heldBack: 0 });
});
