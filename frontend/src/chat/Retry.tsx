import { RotateCcw } from "lucide-react";
import { useEffect, useState } from "react";
import { duration } from "@/lib/format";
import { Button } from "@/ui/button";
import { Switch } from "@/ui/switch";

const LOOK_MS = 100;

interface Props {
  /** By `performance.now()`; null: at any time. */
  atMs: number | null;
  onAgain: () => void;
}

/** Counts down to the moment at which the same request fits, and sends it again: by hand, or by itself if asked to. */
export function Retry({ atMs, onAgain }: Props) {
  const left = useLeft(atMs);
  const [byItself, setByItself] = useState(false);
  const ready = left <= 0;
  useEffect(() => {
    if (ready && byItself) onAgain();
  }, [ready, byItself, onAgain]);
  return (
    <div className="mt-2 flex flex-wrap items-center gap-3">
      <Button size="small" kind="primary" disabled={!ready} onClick={onAgain}>
        <RotateCcw aria-hidden className="size-4" />
        Send again
      </Button>
      {atMs !== null && (
        <span role="timer" className="font-medium tabular-nums">
          {ready ? "room now" : `in ${duration(left / 1000)}`}
        </span>
      )}
      {atMs !== null && !ready && (
        <Switch label="by itself as soon as there is room" checked={byItself} onChange={setByItself} />
      )}
    </div>
  );
}

/** Milliseconds until then; never below 0. */
function useLeft(atMs: number | null): number {
  const [now, setNow] = useState(() => performance.now());
  const over = atMs === null || now >= atMs;
  useEffect(() => {
    if (over) return undefined;
    const timer = setInterval(() => setNow(performance.now()), LOOK_MS);
    return () => clearInterval(timer);
  }, [over]);
  return atMs === null ? 0 : Math.max(0, atMs - now);
}
