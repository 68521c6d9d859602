/** A canvas that is drawn from the live model: outside of React, as often as its picture changes. */
import { type RefObject, useEffect, useRef } from "react";
import { animate, type Draw } from "@/lib/animate";
import { onLive } from "@/live/store";

/** `draw` may be another function at each rendering; a rendering draws anew. */
export function useDrawing(draw: Draw): RefObject<HTMLCanvasElement | null> {
  const canvas = useRef<HTMLCanvasElement>(null);
  const latest = useRef(draw);
  const redraw = useRef<() => void>(() => undefined);
  useEffect(() => {
    if (!canvas.current) return undefined;
    const animation = animate(canvas.current, (surface) => latest.current(surface));
    redraw.current = animation.changed;
    const ended = onLive(animation.changed);
    return () => {
      ended();
      animation.stop();
    };
  }, []);
  useEffect(() => {
    latest.current = draw;
    redraw.current();
  }, [draw]);
  return canvas;
}
