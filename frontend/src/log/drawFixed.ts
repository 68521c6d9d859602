/** Draws what a fixed window would have let through, on the same axis as the log. A simulation, and labelled so. */
import type { Layer, Surface } from "@/lib/animate";
import type { Palette } from "@/lib/palette";
import { AFTERWARDS, firstAfter } from "@/live/log";
import { drawAxis, layoutOf, line } from "./drawGround";
import type { Comparison, Judged, Worst } from "./fixedWindow";
import { type Scale, scaleOf, stillMs, xOf } from "./scale";
import { bySpan } from "./stacking";

const MARK_PX = 10;
const DENIED_PX = 24;

export interface FixedPicture {
  comparison: Comparison;
  limit: number;
  windowMs: number;
  palette: Palette;
  /** The line and the axis. */
  ground: Layer;
  still: boolean;
}

export function drawFixed(surface: Surface, nowMs: number, picture: FixedPicture): number {
  const { windowMs, palette, comparison, limit } = picture;
  if (windowMs <= 0 || nowMs <= 0) return Number.POSITIVE_INFINITY;
  const scale = scaleOf(surface.width, nowMs, windowMs);
  const layout = layoutOf(surface.height, DENIED_PX);
  const { ctx } = surface;
  picture.ground.draw(surface, `${windowMs} ${palette.text}`, (ground) => {
    ground.ctx.strokeStyle = palette.lineStrong;
    ground.ctx.lineWidth = 1;
    line(ground.ctx, 0, layout.base + 0.5, surface.width, layout.base + 0.5);
    ground.ctx.strokeStyle = palette.text;
    ground.ctx.lineWidth = 2;
    line(ground.ctx, scale.right, 0, scale.right, layout.axis);
    drawAxis(ground, scale, layout, palette);
  });
  drawWorst(ctx, comparison.fixed, scale, limit, layout.top, layout.base, palette);
  drawEdges(ctx, scale, layout.axis, comparison.counters, limit, palette);
  const from = firstAfter(comparison.judged, nowMs - windowMs * (1 + AFTERWARDS));
  bySpan(comparison.judged, from, comparison.judged.length, MARK_PX / scale.pxPerMs, (middleMs, begin, end) =>
    drawColumn(ctx, comparison.judged, begin, end, xOf(scale, middleMs), layout.base, layout.top + 6, palette),
  );
  return picture.still ? 500 : Math.min(1_000, stillMs(scale));
}

/** Squares for what is let through, filled where the log admitted it too; diamonds where the log denied it. */
function drawColumn(
  ctx: CanvasRenderingContext2D,
  judged: readonly Judged[],
  begin: number,
  end: number,
  x: number,
  base: number,
  top: number,
  palette: Palette,
): void {
  if (x < -MARK_PX) return;
  let through = 0;
  for (let at = begin; at < end; at += 1) if (judged[at]?.through) through += 1;
  const step = Math.min(MARK_PX, (base - top) / Math.max(1, through));
  const half = MARK_PX / 2 - 1;
  let level = 0;
  for (let at = begin; at < end; at += 1) {
    const each = judged[at];
    if (!each?.through) continue;
    const y = base - 1 - half - level * step;
    level += 1;
    ctx.fillStyle = each.admitted ? palette.lineStrong : palette.warning;
    ctx.beginPath();
    if (each.admitted) ctx.rect(x - half, y - half, 2 * half, 2 * half);
    else {
      ctx.moveTo(x, y - half - 1);
      ctx.lineTo(x + half + 1, y);
      ctx.lineTo(x, y + half + 1);
      ctx.lineTo(x - half - 1, y);
    }
    ctx.fill();
  }
  if (through === end - begin) return;
  ctx.strokeStyle = palette.denied;
  ctx.lineWidth = 2;
  line(ctx, x - 3.5, base + 7, x + 3.5, base + 14);
  line(ctx, x + 3.5, base + 7, x - 3.5, base + 14);
}

function drawEdges(
  ctx: CanvasRenderingContext2D,
  scale: Scale,
  bottom: number,
  counters: ReadonlyMap<number, number>,
  limit: number,
  palette: Palette,
): void {
  const { windowMs, nowMs } = scale;
  ctx.font = `12px ${palette.font}`;
  ctx.textBaseline = "middle";
  const newest = Math.floor(nowMs / windowMs);
  for (let number = newest - 2; number <= newest; number += 1) {
    const x = xOf(scale, number * windowMs);
    const end = Math.min(scale.right, x + windowMs * scale.pxPerMs);
    ctx.strokeStyle = palette.warning;
    ctx.lineWidth = 1.5;
    if (x >= 0) line(ctx, x, 0, x, bottom);
    const from = Math.max(0, x);
    if (end - from < 110) continue;
    ctx.fillStyle = palette.quiet;
    ctx.textAlign = "left";
    ctx.fillText(`counter: ${counters.get(number) ?? 0} of ${limit}`, from + 6, 12);
  }
}

function drawWorst(
  ctx: CanvasRenderingContext2D,
  worst: Worst,
  scale: Scale,
  limit: number,
  top: number,
  base: number,
  palette: Palette,
): void {
  if (worst.cost <= limit) return;
  const from = xOf(scale, worst.fromMs) - MARK_PX / 2;
  const to = xOf(scale, worst.toMs) + MARK_PX / 2;
  if (to < 0) return;
  ctx.globalAlpha = 0.14;
  ctx.fillStyle = palette.warning;
  ctx.fillRect(from, top, to - from, base - top);
  ctx.globalAlpha = 1;
  ctx.strokeStyle = palette.warning;
  ctx.lineWidth = 1.5;
  line(ctx, from, top, to, top);
  line(ctx, from, top, from, top + 6);
  line(ctx, to, top, to, top + 6);
}
