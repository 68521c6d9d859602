/** The server's time for components that count down between frames. */
import { useEffect, useState } from "react";
import { model, useFeedState } from "./store";

/** Renders again so often while the page is to be seen and not paused. In ms since 1970; 0 while it is not known. */
export function useNow(intervalMs: number): number {
  const paused = useFeedState().is === "paused";
  const [now, setNow] = useState(() => model.clock.now());
  useEffect(() => {
    const tick = () => {
      if (document.visibilityState !== "hidden") setNow(model.clock.now());
    };
    tick();
    if (paused) return undefined;
    const timer = setInterval(tick, intervalMs);
    return () => clearInterval(timer);
  }, [intervalMs, paused]);
  return now;
}
