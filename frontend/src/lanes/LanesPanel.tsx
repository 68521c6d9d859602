import { useLiveValue } from "@/live/store";
import { Panel } from "@/ui/panel";
import { Pool } from "./Pool";

/** Who waits, and who has a slot: a queue for each band, the highest first, before each model's slots. */
export function LanesPanel() {
  const names = useLiveValue((live) => live.pools.map((pool) => pool.name).join("\n"));
  return (
    <Panel title="Lanes: who goes next" className="min-w-0">
      {names === "" ? (
        <p className="text-quiet">
          Waiting for the router's first word of its pools. While all slots of a model are taken, requests wait here in
          a queue for each band, and a free slot goes to the highest band first.
        </p>
      ) : (
        <div className="grid gap-x-8 gap-y-5 xl:grid-cols-2">
          {names.split("\n").map((name) => (
            <Pool key={name} name={name} />
          ))}
        </div>
      )}
    </Panel>
  );
}
