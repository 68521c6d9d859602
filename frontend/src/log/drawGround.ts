/** What the marks are drawn on: the shaded window with its two edges, the line, and the axis of time. */
import type { Surface } from "@/lib/animate";
import { span } from "@/lib/format";
import type { Palette } from "@/lib/palette";
import { type Scale, ticks, xOf } from "./scale";

export interface Layout {
  /** Where marks may begin. */
  top: number;
  /** The line that marks stand on. */
  base: number;
  /** Where the axis of time begins. */
  axis: number;
  height: number;
}

const LABEL_PX = 24;
const AXIS_PX = 22;
const DENIED_PX = 52;

/** `deniedPx`: how much is left for crosses below the line. */
export function layoutOf(height: number, deniedPx = DENIED_PX): Layout {
  return { top: LABEL_PX + 4, base: height - AXIS_PX - deniedPx, axis: height - AXIS_PX, height };
}

export function drawGround({ ctx, width }: Surface, scale: Scale, layout: Layout, palette: Palette): void {
  const left = xOf(scale, scale.nowMs - scale.windowMs);
  ctx.fillStyle = palette.window;
  ctx.fillRect(left, 0, scale.right - left, layout.axis);
  ctx.strokeStyle = palette.lineStrong;
  ctx.lineWidth = 1;
  line(ctx, 0, layout.base + 0.5, width, layout.base + 0.5);
  ctx.strokeStyle = palette.allowed;
  ctx.setLineDash([5, 4]);
  ctx.lineWidth = 1.5;
  line(ctx, left, 0, left, layout.axis);
  ctx.setLineDash([]);
  ctx.lineWidth = 2;
  ctx.strokeStyle = palette.text;
  line(ctx, scale.right, 0, scale.right, layout.axis);
  drawLabels(ctx, scale, left, palette);
}

function drawLabels(ctx: CanvasRenderingContext2D, scale: Scale, left: number, palette: Palette): void {
  ctx.font = `500 12px ${palette.font}`;
  ctx.textBaseline = "middle";
  ctx.fillStyle = palette.quiet;
  ctx.textAlign = "center";
  ctx.fillText(`the window: any ${span(scale.windowMs / 1000)}`, (left + scale.right) / 2, LABEL_PX / 2);
  ctx.textAlign = "right";
  const roomy = left > 120;
  ctx.fillText(roomy ? "← room given back" : "← left", left - 8, LABEL_PX / 2);
}

export function drawAxis({ ctx }: Surface, scale: Scale, layout: Layout, palette: Palette): void {
  const windowS = scale.windowMs / 1000;
  ctx.font = `12px ${palette.font}`;
  ctx.textBaseline = "middle";
  ctx.strokeStyle = palette.lineStrong;
  ctx.lineWidth = 1;
  for (const ageS of ticks(windowS, Math.max(2, scale.right / 90))) {
    const x = xOf(scale, scale.nowMs - ageS * 1000);
    line(ctx, x, layout.axis, x, layout.axis + 4);
    ctx.fillStyle = ageS === 0 ? palette.text : palette.quiet;
    ctx.textAlign = ageS === 0 ? "right" : "center";
    ctx.fillText(ageS === 0 ? "now" : `−${span(ageS)}`, ageS === 0 ? x + 12 : x, layout.axis + 13);
  }
}

export function line(ctx: CanvasRenderingContext2D, fromX: number, fromY: number, toX: number, toY: number): void {
  ctx.beginPath();
  ctx.moveTo(fromX, fromY);
  ctx.lineTo(toX, toY);
  ctx.stroke();
}
