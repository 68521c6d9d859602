import { ChartsPanel } from "@/charts/ChartsPanel";
import { LanesPanel } from "@/lanes/LanesPanel";
import { LogPanel } from "@/log/LogPanel";
import { RequestsPanel } from "@/requests/RequestsPanel";
import { TrafficPanel } from "@/traffic/TrafficPanel";

/** The main screen: the log and the lanes, what is sent, and what came of it. */
export function LiveScreen() {
  return (
    <div className="grid grid-cols-1 gap-4 lg:grid-cols-[minmax(0,1fr)_22rem]">
      <div className="flex min-w-0 flex-col gap-4">
        <LogPanel />
        <LanesPanel />
        <ChartsPanel />
        <RequestsPanel />
      </div>
      <TrafficPanel />
    </div>
  );
}
