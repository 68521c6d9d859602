import { ChartsPanel } from "@/charts/ChartsPanel";
import { LanesPanel } from "@/lanes/LanesPanel";
import { LogPanel } from "@/log/LogPanel";
import { RequestsPanel } from "@/requests/RequestsPanel";
import { TrafficPanel } from "@/traffic/TrafficPanel";

/** The main screen: the log and the lanes, what is sent, and what came of it. On a narrow one, sending comes second. */
export function LiveScreen() {
  return (
    <div className="grid grid-cols-1 gap-4 lg:grid-cols-[minmax(0,1fr)_22rem] lg:grid-rows-[auto_auto_auto_1fr]">
      <LogPanel />
      <div className="min-w-0 lg:col-start-2 lg:row-span-4 lg:row-start-1">
        <TrafficPanel />
      </div>
      <LanesPanel />
      <ChartsPanel />
      <RequestsPanel />
    </div>
  );
}
