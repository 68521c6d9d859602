/** What people type for a limit or a window, read as the server reads it. Everything here is pure. */

const UNIT_MS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;
const WHOLE = /^(\d{1,10}(ms|s|m|h|d)){1,5}$/;
const PART = /(\d+)(ms|s|m|h|d)/g;

export const SHORTEST_MS = 100;
export const LONGEST_MS = 31 * UNIT_MS.d;
export const MOST = 1e12;

/** Either the value, or what is wrong with the text. */
export type Read<T> = { value: T; problem?: never } | { value?: never; problem: string };

/** `10s`, `1m30s`, `250ms`, `1 h` in milliseconds. */
export function readDuration(text: string, leastMs = SHORTEST_MS): Read<number> {
  const tight = text.replace(/\s+/g, "");
  if (!WHOLE.test(tight)) {
    return { problem: "Write a number and ms, s, m, h or d, such as 10s, 250ms or 1m30s." };
  }
  let value = 0;
  for (const [, number, unit] of tight.matchAll(PART)) value += Number(number) * UNIT_MS[unit as keyof typeof UNIT_MS];
  if (value < leastMs || value > LONGEST_MS) {
    return { problem: `Write a time from ${writeDuration(leastMs)} to ${writeDuration(LONGEST_MS)}.` };
  }
  return { value };
}

/** The shortest way to write a duration: 90,000 is `1m30s`. */
export function writeDuration(ms: number): string {
  let rest = ms;
  let written = "";
  for (const [unit, size] of Object.entries(UNIT_MS)) {
    const many = Math.floor(rest / size);
    rest -= many * size;
    if (many) written += `${many}${unit}`;
  }
  return written || "0s";
}

/** A policy's window in seconds, however the server wrote it. */
export function windowSeconds(window: string | number | undefined): number {
  if (typeof window === "number") return window / 1000;
  return (readDuration(window ?? "", 0).value ?? 0) / 1000;
}

/** `1000`, `1,000`, `1 000` and `1_000` are the same whole number. */
export function readWhole(text: string, most = MOST): Read<number> {
  const tight = text.trim();
  const grouped = /^\d{1,3}([ ,_\u00a0\u202f]\d{3})+$/.test(tight);
  const value = Number(grouped ? tight.replace(/\D/g, "") : tight);
  if (!(grouped || /^\d+$/.test(tight)) || value < 1 || value > most) {
    return { problem: `Write a whole number from 1 to ${most.toLocaleString("en")}.` };
  }
  return { value };
}
