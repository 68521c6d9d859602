import { Play } from "lucide-react";
import { Button } from "@/ui/button";
import { usePersonas } from "./personas";
import { GENTLE } from "./presets";
import { castOf, startPreset, useTraffic } from "./store";

/** The one click before which the page sends nothing. Only where there are demo keys, and only until it was clicked. */
export function StartButton({ className }: { className?: string }) {
  const personas = usePersonas();
  const begun = useTraffic((traffic) => traffic.begun);
  if (begun || !castOf(GENTLE, personas)) return null;
  return (
    <div className={className}>
      <Button kind="primary" size="large" className="w-full" onClick={() => void startPreset(GENTLE)}>
        <Play aria-hidden className="size-5" />
        Start
      </Button>
      <p className="mt-2 text-sm text-quiet">
        Sends some requests a second from this browser, with the demo's keys. Nothing is sent before.
      </p>
    </div>
  );
}
