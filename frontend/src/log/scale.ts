/** Where on the canvas a moment is: now at the right edge, the window to its left, and what has left it beyond. */
import { AFTERWARDS } from "@/live/log";

export interface Scale {
  nowMs: number;
  windowMs: number;
  /** Where now is. */
  right: number;
  pxPerMs: number;
}

/** Free to the right of now, so that a mark that was just logged is seen whole. */
const MARGIN_PX = 14;

export function scaleOf(width: number, nowMs: number, windowMs: number): Scale {
  const right = Math.max(1, width - MARGIN_PX);
  return { nowMs, windowMs, right, pxPerMs: right / Math.max(1, windowMs * (1 + AFTERWARDS)) };
}

export function xOf(scale: Scale, ms: number): number {
  return scale.right - (scale.nowMs - ms) * scale.pxPerMs;
}

/** How far a mark has drifted out of its window: 0 within it and at its edge, 1 where it is seen no more. */
export function goneBy(scale: Scale, loggedMs: number): number {
  const late = scale.nowMs - loggedMs - scale.windowMs;
  return Math.min(1, Math.max(0, late / (scale.windowMs * AFTERWARDS)));
}

const STEPS_S = [
  0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 43_200,
  86_400, 172_800, 432_000,
];

/** The ages in s that the axis names, from now (0) to the window's end at most, so many of them at most. */
export function ticks(windowS: number, most: number): number[] {
  const step = STEPS_S.find((each) => windowS / each <= most) ?? windowS;
  const ages: number[] = [];
  for (let at = 0; at * step <= windowS * 1.0001; at += 1) ages.push(at * step);
  return ages;
}

/** For how long the picture stays the same to the eye: until the drift comes to half a pixel. */
export function stillMs(scale: Scale): number {
  return 0.5 / scale.pxPerMs;
}
