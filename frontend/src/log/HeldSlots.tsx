import { cn } from "@/lib/cn";
import { useLive } from "@/live/store";

const MOST_BOXES = 200;
const BOXES = Array.from({ length: MOST_BOXES }, (_, at) => at);

/** A window of requests at the same time does not slide: a slot is held until its request ends. */
export function HeldSlots() {
  const { window } = useLive().log;
  if (!window) return null;
  return (
    <div className="flex flex-col gap-3 py-3">
      <div aria-hidden className="flex flex-wrap gap-1.5">
        {BOXES.slice(0, window.limit).map((at) => (
          <span
            key={at}
            className={cn(
              "size-9 rounded-md border-2",
              at < window.used ? "border-allowed bg-allowed" : "border-dashed border-line-strong",
            )}
          />
        ))}
        {window.limit > MOST_BOXES && (
          <span className="self-center text-quiet">and {window.limit - MOST_BOXES} more</span>
        )}
      </div>
      <p className="text-sm text-quiet">
        Filled: held by a request that is running. Nothing drifts here: a slot comes back when its request ends, or when
        its lease runs out because whoever held it has died.
      </p>
    </div>
  );
}
