/** Draws the sliding log: marks of what was admitted above the line, crosses of what was denied below it. */
import type { Layer, Surface } from "@/lib/animate";
import type { Palette } from "@/lib/palette";
import { AFTERWARDS, firstAfter, type Mark, type WatchedLog } from "@/live/log";
import { drawAxis, drawGround, type Layout, layoutOf } from "./drawGround";
import { goneBy, type Scale, scaleOf, stillMs, xOf } from "./scale";
import { bySpan, type Stacking } from "./stacking";

/** How long a new mark takes to settle. */
const ARRIVAL_MS = 260;
const CROSS_PX = 16;
const RETURN_PX = 34;
const BAR_PX = 7;

export interface LogPicture {
  palette: Palette;
  stacking: Stacking;
  /** The window, its edges and the axis: they do not move. */
  ground: Layer;
  /** Without motion: the picture steps twice a second. */
  still: boolean;
}

/** Draws the log as it is at this moment of the server; says in how many ms it will look different. */
export function drawLog(surface: Surface, log: WatchedLog, nowMs: number, picture: LogPicture): number {
  const { windowMs } = log;
  if (windowMs <= 0 || nowMs <= 0) return Number.POSITIVE_INFINITY;
  const scale = scaleOf(surface.width, nowMs, windowMs);
  const layout = layoutOf(surface.height);
  const key = `${windowMs} ${picture.palette.text}`;
  picture.ground.draw(surface, key, (ground) => {
    drawGround(ground, scale, layout, picture.palette);
    drawAxis(ground, scale, layout, picture.palette);
  });
  if (log.profile) drawProfile(surface.ctx, log, scale, layout, picture.palette);
  else if (log.window?.unit.endsWith("_tokens")) drawBars(surface.ctx, log, scale, layout, picture.palette);
  else drawBeads(surface.ctx, log, scale, layout, picture);
  if (!log.profile) drawReturns(surface.ctx, log, scale, layout, picture);
  drawCrosses(surface.ctx, log, scale, layout, picture.palette);
  const newest = log.marks.at(-1)?.ms ?? 0;
  if (picture.still) return 500;
  return nowMs - newest < ARRIVAL_MS ? 0 : Math.min(1_000, stillMs(scale));
}

/** How wide a mark of a request is: where the limit is small, all that it allows can stand on one another. */
export function beadPx(limit: number, roomPx: number): number {
  const least = limit <= 20 ? 12 : limit <= 60 ? 10 : limit <= 300 ? 8 : 6;
  return Math.min(16, Math.max(least, roomPx / Math.max(1, limit)));
}

function drawBeads(ctx: CanvasRenderingContext2D, log: WatchedLog, scale: Scale, layout: Layout, picture: LogPicture) {
  const { palette, stacking } = picture;
  const room = layout.base - layout.top;
  const size = beadPx(log.window?.limit ?? 1, room);
  stacking.follow(log, size / scale.pxPerMs);
  const step = Math.min(size, (room - size) / Math.max(1, stacking.highest));
  const from = firstAfter(log.marks, scale.nowMs - scale.windowMs * (1 + AFTERWARDS));
  ctx.lineWidth = 1.5;
  for (let at = from; at < log.marks.length; at += 1) {
    const mark = log.marks[at];
    if (!mark || mark.ms > scale.nowMs) continue;
    const gone = goneBy(scale, mark.ms);
    const y = layout.base - 2 - size / 2 - stacking.of(mark) * step;
    drawBead(ctx, xOf(scale, mark.ms), y, (size / 2 - 1) * arrival(mark, scale, picture.still), mark, gone, palette);
  }
  ctx.globalAlpha = 1;
}

function arrival(mark: Mark, scale: Scale, still: boolean): number {
  const age = scale.nowMs - mark.ms;
  if (still || age >= ARRIVAL_MS) return 1;
  const left = 1 - age / ARRIVAL_MS;
  return 1 + 0.7 * left * left;
}

function drawBead(
  ctx: CanvasRenderingContext2D,
  x: number,
  y: number,
  radius: number,
  mark: Mark,
  gone: number,
  palette: Palette,
) {
  ctx.globalAlpha = 1 - gone;
  ctx.beginPath();
  ctx.arc(x, y, Math.max(1, radius), 0, 2 * Math.PI);
  if (gone > 0 || mark.cost === 0) {
    ctx.strokeStyle = mark.cost === 0 ? palette.lineStrong : palette.allowed;
    ctx.stroke();
  } else {
    ctx.fillStyle = palette.allowed;
    ctx.fill();
  }
}

function drawBars(ctx: CanvasRenderingContext2D, log: WatchedLog, scale: Scale, layout: Layout, palette: Palette) {
  const { marks } = log;
  const perUnit = (layout.base - layout.top) / Math.max(1, log.window?.limit ?? 1);
  const from = firstAfter(marks, scale.nowMs - scale.windowMs * (1 + AFTERWARDS));
  ctx.lineWidth = 1.5;
  bySpan(marks, from, marks.length, BAR_PX / scale.pxPerMs, (middleMs, begin, end) => {
    const x = xOf(scale, middleMs) - BAR_PX / 2 + 1;
    let y = layout.base - 1;
    for (let at = begin; at < end; at += 1) {
      const mark = marks[at];
      if (!mark) continue;
      const gone = goneBy(scale, mark.ms);
      const height = Math.max(4, mark.cost * perUnit);
      y -= height;
      ctx.globalAlpha = 1 - gone;
      if (gone > 0 || mark.cost === 0) {
        ctx.strokeStyle = mark.cost === 0 ? palette.lineStrong : palette.allowed;
        ctx.strokeRect(x + 0.75, y + 0.75, BAR_PX - 3.5, height - 2);
      } else {
        ctx.fillStyle = palette.allowed;
        ctx.fillRect(x, y, BAR_PX - 2, height - 1);
      }
    }
  });
  ctx.globalAlpha = 1;
}

function drawProfile(ctx: CanvasRenderingContext2D, log: WatchedLog, scale: Scale, layout: Layout, palette: Palette) {
  const { profile } = log;
  if (!profile) return;
  let most = 1;
  for (const count of profile.counts) most = Math.max(most, count);
  const wide = Math.max(1, profile.span_ms * scale.pxPerMs - 1);
  ctx.fillStyle = palette.allowed;
  profile.counts.forEach((count, at) => {
    const ms = profile.from_ms + at * profile.span_ms;
    const gone = goneBy(scale, ms + profile.span_ms / 2);
    if (count === 0 || gone >= 1) return;
    ctx.globalAlpha = gone > 0 ? 0.5 * (1 - gone) : 1;
    const height = Math.max(2, (count / most) * (layout.base - layout.top));
    ctx.fillRect(xOf(scale, ms), layout.base - height, wide, height);
  });
  ctx.globalAlpha = 1;
}

/** Where marks have left the window: how much room each of them gave back. */
function drawReturns(
  ctx: CanvasRenderingContext2D,
  log: WatchedLog,
  scale: Scale,
  layout: Layout,
  picture: LogPicture,
) {
  const { marks } = log;
  const { palette } = picture;
  const apart = (log.window?.limit ?? 1) > 100 ? 2 * RETURN_PX : RETURN_PX;
  const leftMs = scale.nowMs - scale.windowMs;
  const from = firstAfter(marks, leftMs - scale.windowMs * AFTERWARDS);
  const to = firstAfter(marks, leftMs);
  ctx.font = `600 13px ${palette.font}`;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  ctx.fillStyle = palette.allowed;
  ctx.strokeStyle = palette.panel;
  ctx.lineWidth = 4;
  const edge = xOf(scale, leftMs) - apart / 2;
  bySpan(marks, from, to, apart / scale.pxPerMs, (middleMs, begin, end) => {
    let cost = 0;
    for (let at = begin; at < end; at += 1) cost += marks[at]?.cost ?? 0;
    const gone = goneBy(scale, middleMs);
    if (cost === 0 || gone > 0.95) return;
    ctx.globalAlpha = 1 - gone * gone;
    const rise = picture.still ? 0 : Math.min(1, gone * 4) * 16;
    const x = Math.min(edge, xOf(scale, middleMs));
    ctx.strokeText(`+${cost}`, x, layout.top + 26 - rise);
    ctx.fillText(`+${cost}`, x, layout.top + 26 - rise);
  });
  ctx.globalAlpha = 1;
}

function drawCrosses(ctx: CanvasRenderingContext2D, log: WatchedLog, scale: Scale, layout: Layout, palette: Palette) {
  const { crosses } = log;
  const from = firstAfter(crosses, scale.nowMs - scale.windowMs * (1 + AFTERWARDS));
  const to = firstAfter(crosses, scale.nowMs);
  const levels = 3;
  const step = (layout.axis - layout.base - 6) / levels;
  const arm = 4;
  ctx.strokeStyle = palette.denied;
  ctx.fillStyle = palette.denied;
  ctx.font = `600 11px ${palette.font}`;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  ctx.lineWidth = 2;
  ctx.lineCap = "round";
  const apart = (log.window?.limit ?? 1) > 100 ? 2 * CROSS_PX : CROSS_PX; // room for longer numbers
  bySpan(crosses, from, to, apart / scale.pxPerMs, (middleMs, begin, end) => {
    const x = Math.min(scale.right, xOf(scale, middleMs));
    const many = end - begin;
    const shown = many > levels ? levels - 1 : many;
    ctx.globalAlpha = 1 - goneBy(scale, middleMs);
    for (let level = 0; level < shown; level += 1) {
      const y = layout.base + 5 + step * (level + 0.5);
      ctx.beginPath();
      ctx.moveTo(x - arm, y - arm);
      ctx.lineTo(x + arm, y + arm);
      ctx.moveTo(x + arm, y - arm);
      ctx.lineTo(x - arm, y + arm);
      ctx.stroke();
    }
    if (many > shown) ctx.fillText(`+${many - shown}`, x, layout.base + 6 + step * (shown + 0.5));
  });
  ctx.globalAlpha = 1;
}
