import { useCallback, useId, useMemo } from "react";
import { Layer, type Surface } from "@/lib/animate";
import { useReducedMotion } from "@/lib/motion";
import { usePalette } from "@/lib/palette";
import { feed, model } from "@/live/store";
import { useNow } from "@/live/useNow";
import { drawLog } from "./draw";
import { Stacking } from "./stacking";
import { useDrawing } from "./useDrawing";
import { summary } from "./words";

const TOLD_MS = 2_000;

/** The log as it slides: now at the right edge, every admitted request drifting left until it leaves the window. */
export function LogCanvas() {
  const palette = usePalette();
  const still = useReducedMotion();
  const stacking = useMemo(() => new Stacking(), []);
  const ground = useMemo(() => new Layer(), []);
  const told = useId();
  const draw = useCallback(
    (surface: Surface) => {
      const next = drawLog(surface, model.log, model.clock.now(), { palette, stacking, ground, still });
      return feed.state.is === "paused" ? Number.POSITIVE_INFINITY : next;
    },
    [palette, stacking, ground, still],
  );
  const canvas = useDrawing(draw);
  return (
    <>
      <canvas ref={canvas} role="img" aria-label="The sliding log" aria-describedby={told} className="h-64 w-full" />
      <Told id={told} />
    </>
  );
}

function Told({ id }: { id: string }) {
  const now = useNow(TOLD_MS);
  return (
    <p id={id} className="sr-only">
      {summary(model.log, now)}
    </p>
  );
}
