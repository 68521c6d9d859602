import { expect, test } from "vitest";
import { ServerClock } from "./clock";

function steered() {
  const at = { ms: 0 };
  return { at, clock: new ServerClock(() => at.ms) };
}

test("before anything was heard there is no time", () => {
  const { clock } = steered();
  expect(clock.known).toBe(false);
  expect(clock.now()).toBe(0);
});

test("of frames that took longer and shorter to come, the fastest tells the time", () => {
  const { at, clock } = steered();
  const ahead = 1_700_000_000_000; // the server's clock stands so far ahead of ours
  const delays = [80, 5, 140, 31, 260, 7];
  for (const [number, delay] of delays.entries()) {
    const sentAt = number * 100;
    at.ms = sentAt + delay;
    clock.observe(ahead + sentAt);
  }
  at.ms = 1_000;
  expect(clock.now()).toBe(ahead + 1_000 - Math.min(...delays));
});

test("time between frames goes on by itself, and never shows a frame's moment as yet to come", () => {
  const { at, clock } = steered();
  let random = 7;
  for (let sent = 0; sent < 60_000; sent += 100) {
    random = (random * 16_807) % 2_147_483_647;
    at.ms = Math.max(at.ms, sent + (random % 300));
    clock.observe(5_000_000 + sent);
    expect(clock.now()).toBeGreaterThanOrEqual(5_000_000 + sent);
    expect(clock.now()).toBeLessThanOrEqual(5_000_000 + at.ms);
  }
});

test("a frame that came fast is forgotten after half a minute: the way may have become longer", () => {
  const { at, clock } = steered();
  clock.observe(1_000);
  for (at.ms = 100; at.ms <= 30_100; at.ms += 100) clock.observe(1_000 + at.ms - 50);
  expect(clock.now() - at.ms).toBe(950);
});

test("held, it stands still until it is reset", () => {
  const { at, clock } = steered();
  clock.observe(1_000);
  clock.hold();
  at.ms = 500;
  expect(clock.now()).toBe(1_000);
  clock.reset();
  clock.observe(2_000);
  at.ms = 700;
  expect(clock.now()).toBe(2_200);
});
