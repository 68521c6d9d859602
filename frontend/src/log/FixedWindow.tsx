import { useCallback, useId, useMemo, useRef } from "react";
import { Layer, type Surface } from "@/lib/animate";
import { count, span } from "@/lib/format";
import { useReducedMotion } from "@/lib/motion";
import { usePalette } from "@/lib/palette";
import { feed, model } from "@/live/store";
import { useNow } from "@/live/useNow";
import { drawFixed } from "./drawFixed";
import { type Comparison, compare } from "./fixedWindow";
import { Entry } from "./Legend";
import { useDrawing } from "./useDrawing";

const WORKED_OUT_MS = 250;
const TOLD_MS = 1_000;

/** The same requests, judged by a fixed window: worked out in the page. */
export function FixedWindow() {
  const palette = usePalette();
  const still = useReducedMotion();
  const compared = useComparison();
  const ground = useMemo(() => new Layer(), []);
  const told = useId();
  const draw = useCallback(
    (surface: Surface) => {
      const { log, clock } = model;
      const next = drawFixed(surface, clock.now(), {
        comparison: compared(),
        limit: log.window?.limit ?? 0,
        windowMs: log.windowMs,
        palette,
        ground,
        still,
      });
      return feed.state.is === "paused" ? Number.POSITIVE_INFINITY : next;
    },
    [compared, palette, ground, still],
  );
  const canvas = useDrawing(draw);
  return (
    <section aria-label="Compared with a fixed window" className="mt-4 border-t border-line pt-3">
      <h3 className="font-medium">Simulation: what a fixed window would have let through</h3>
      <Verdict id={told} compared={compared} />
      <canvas
        ref={canvas}
        role="img"
        aria-label="A fixed window, simulated"
        aria-describedby={told}
        className="h-40 w-full"
      />
      <ul
        aria-label="What the marks of the simulation mean"
        className="flex flex-wrap gap-x-5 gap-y-1 text-sm text-quiet"
      >
        <Entry mark={<rect x="4" y="4" width="8" height="8" className="fill-line-strong" />}>let through by both</Entry>
        <Entry mark={<path d="M8 3l5 5-5 5-5-5z" className="fill-warning" />}>
          let through by the fixed window only
        </Entry>
        <Entry mark={<path d="M4 4l8 8M12 4l-8 8" strokeWidth="2" className="stroke-denied" />}>denied by it too</Entry>
        <Entry mark={<path d="M8 1v14" strokeWidth="2" className="stroke-warning" />}>
          an edge: its counter begins again at 0
        </Entry>
      </ul>
    </section>
  );
}

function Verdict({ id, compared }: { id: string; compared: () => Comparison }) {
  useNow(TOLD_MS);
  const { window } = model.log;
  if (!window) return null;
  const { fixed, log } = compared();
  const over = fixed.cost > window.limit;
  const sampled = model.frame?.sampled ?? 1;
  return (
    <p id={id} className="mb-2 tabular-nums">
      Worst {span(window.window_s)}: fixed let{" "}
      <strong className={over ? "text-warning" : undefined}>{count(fixed.cost)}</strong> through, limit{" "}
      {count(window.limit)}
      {over && <strong className="text-warning"> ({(fixed.cost / window.limit).toFixed(1)} times as many)</strong>}. The
      sliding log: {count(log.cost)}.
      {sampled > 1 && ` Only 1 in ${sampled} denied requests is known here: fixed would have let more through.`}
    </p>
  );
}

/** Worked out anew only when the log has changed, and a few times a second at most. */
function useComparison(): () => Comparison {
  const known = useRef<{ version: number; atMs: number; comparison: Comparison } | null>(null);
  return useCallback(() => {
    const { log } = model;
    const at = performance.now();
    const before = known.current;
    if (before && (before.version === log.version || at - before.atMs < WORKED_OUT_MS)) return before.comparison;
    const comparison = compare(log.marks, log.crosses, log.window?.limit ?? 0, log.windowMs);
    known.current = { version: log.version, atMs: at, comparison };
    return comparison;
  }, []);
}
