import { Square } from "lucide-react";
import { type KeyboardEvent, useEffect, useSyncExternalStore } from "react";
import { useSession } from "@/app/session";
import { useShortcut } from "@/app/shortcuts";
import { Button } from "@/ui/button";
import { Kbd } from "@/ui/kbd";
import { Panel } from "@/ui/panel";
import { AddKey } from "./AddKey";
import { PersonaCard } from "./PersonaCard";
import { BURST } from "./PersonaSettings";
import { Presets } from "./Presets";
import { usePersonas } from "./personas";
import { MOST_AT_ONCE, MOST_PER_SECOND } from "./scheduler";
import { sent } from "./sent";
import { burst, selectedOf, stopTraffic, trafficBusy, trafficHidden, useTraffic } from "./store";

const NO_BANDS: readonly string[] = [];

/** What this page sends: presets, and each persona by itself. Leaving the screen ends it. */
export function TrafficPanel() {
  const personas = usePersonas();
  const bands = useSession((session) => session.settings?.bands) ?? NO_BANDS;
  const chosen = useTraffic((traffic) => traffic.selected);
  const says = useTraffic((traffic) => traffic.says);
  const selected = selectedOf(personas, chosen);
  useEndOfTraffic();
  useShortcut("s", "Send one request as the selected persona", () => selected && void burst(selected.id, 1));
  useShortcut("b", `Send ${BURST} requests as the selected persona`, () => selected && void burst(selected.id, BURST));
  useShortcut("escape", "Stop all traffic", stopTraffic);
  const onKeyDown = (event: KeyboardEvent) => {
    // Elsewhere the shortcut does it; sliders, in which shortcuts are off, are here.
    if (event.key === "Escape" && event.target instanceof HTMLInputElement && event.target.type === "range")
      stopTraffic();
  };
  return (
    <Panel title="Traffic" actions={<StopAll />} className="self-start">
      {/* biome-ignore lint/a11y/noStaticElementInteractions: a way to stop beside the Stop button, not a control */}
      <div className="flex flex-col gap-4" onKeyDown={onKeyDown}>
        <p role="status" className={says ? "border-l-2 border-accent pl-2.5 text-sm" : "sr-only"}>
          {says}
        </p>
        <section aria-label="Presets">
          <Presets />
        </section>
        <section aria-label="Personas" className="flex flex-col gap-2">
          <div className="flex items-center justify-between">
            <h3 className="text-sm font-semibold">Who sends</h3>
            <AddKey />
          </div>
          {personas.length === 0 && <p className="text-sm text-quiet">No key to send with yet: add one.</p>}
          <ul className="flex flex-col gap-1.5">
            {personas.map((persona) => (
              <PersonaCard key={persona.id} persona={persona} bands={bands} selected={persona.id === selected?.id} />
            ))}
          </ul>
        </section>
        <OwnLimit />
      </div>
    </Panel>
  );
}

function StopAll() {
  useTraffic();
  const busy = useSyncExternalStore(sent.subscribe, trafficBusy);
  return (
    <Button kind="danger" size="small" disabled={!busy} aria-keyshortcuts="Escape" onClick={stopTraffic}>
      <Square aria-hidden className="size-3.5" />
      Stop all
      <span aria-hidden>
        <Kbd>Esc</Kbd>
      </span>
    </Button>
  );
}

function OwnLimit() {
  return (
    <details className="text-sm text-quiet">
      <summary className="cursor-pointer">
        The browser sends at most {MOST_PER_SECOND} a second and {MOST_AT_ONCE} at once in all.
      </summary>
      <p className="mt-1.5">
        These are real requests from this page. Without TLS a browser speaks HTTP/1.1 and opens six connections to one
        server; one of them carries the live feed, and the other {MOST_AT_ONCE} are for traffic. What a rate asks for
        beyond that is held back, not made up for. Nothing more is sent after Stop, Esc, another screen, or a minute out
        of sight.
      </p>
    </details>
  );
}

function useEndOfTraffic(): void {
  useEffect(() => {
    const look = () => trafficHidden(document.hidden);
    look();
    document.addEventListener("visibilitychange", look);
    return () => {
      document.removeEventListener("visibilitychange", look);
      stopTraffic();
    };
  }, []);
}
