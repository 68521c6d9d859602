/** Both sources of the table, at the table's own pace. */
import { useEffect, useState } from "react";
import type { SeenRequest } from "@/live/model";
import { model, onLive } from "@/live/store";
import { type SentRequest, sent } from "@/traffic/sent";

const EVERY_MS = 250;

export interface Sampled {
  sent: readonly SentRequest[];
  seen: readonly SeenRequest[];
}

function sample(): Sampled {
  return { sent: sent.now().requests, seen: model.requests };
}

/** Renders again four times a second at most, however much happens. */
export function useSampled(): Sampled {
  const [sampled, setSampled] = useState(sample);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | null = null;
    let stale = false;
    const tell = () => {
      stale = false;
      setSampled(sample());
      timer = setTimeout(() => {
        timer = null;
        if (stale) tell();
      }, EVERY_MS);
    };
    const changed = () => {
      stale = true;
      if (timer === null) tell();
    };
    const ends = [onLive(changed), sent.subscribe(changed)];
    return () => {
      for (const end of ends) end();
      if (timer !== null) clearTimeout(timer);
    };
  }, []);
  return sampled;
}
