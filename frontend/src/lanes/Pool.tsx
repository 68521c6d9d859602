import { memo, useRef } from "react";
import type { LivePool } from "@/api/types";
import { bandGround, bandLetter, bandText } from "@/lib/bands";
import { cn } from "@/lib/cn";
import { count, milliseconds } from "@/lib/format";
import { useLiveValue } from "@/live/store";
import { BandBadge } from "@/ui/badge";
import { assignSlots } from "./slots";

/** So many boxes are drawn of a queue; the rest is a number. */
const MOST_BOXES = 8;
/** So many slots are drawn one by one. */
const MOST_SLOTS = 64;

/** One model's queues and slots. Drawn anew only when the server tells of its pools. */
export const Pool = memo(function Pool({ name }: { name: string }) {
  const pool = useLiveValue((live) => live.pools.find((each) => each.name === name));
  const bands = useLiveValue((live) => live.bands);
  if (!pool) return null;
  const running = pool.bands.reduce((sum, band) => sum + band.running, 0);
  return (
    <section aria-label={`Model ${pool.name}`} className="min-w-0">
      <h3 className="flex items-baseline justify-between gap-3 border-b border-line pb-1">
        <span className="font-mono text-sm font-semibold">{pool.name}</span>
        <span className="text-sm text-quiet tabular-nums">
          {pool.slots ? `${count(running)} of ${count(pool.slots)} slots busy` : "slots not known yet"}
        </span>
      </h3>
      <Slots pool={pool} bands={bands} />
      <Queues pool={pool} bands={bands} />
    </section>
  );
});

function Queues({ pool, bands }: { pool: LivePool; bands: readonly string[] }) {
  return (
    <table className="w-full table-fixed border-collapse text-sm tabular-nums">
      <caption className="sr-only">Queues of {pool.name} by band, the highest first</caption>
      <thead className="text-xs text-quiet">
        <tr>
          <th scope="col" className="w-22 pb-1 text-left font-normal">
            Band
          </th>
          <th scope="col" className="pb-1 text-right font-normal">
            Waiting
          </th>
          <th scope="col" className="w-16 pb-1 text-right font-normal">
            Longest
          </th>
          <th scope="col" className="w-16 pb-1 text-right font-normal">
            Overtook
          </th>
        </tr>
      </thead>
      <tbody>
        {pool.bands.map((band) => (
          <tr key={band.name} className="h-7">
            <th scope="row" className="text-left font-normal">
              <BandBadge bands={bands} band={band.name} />
            </th>
            <td>
              <Waiting bands={bands} band={band.name} waiting={band.waiting} />
            </td>
            <td className={cn("text-right", band.waiting === 0 && "text-quiet")}>
              {band.waiting > 0 ? milliseconds(band.oldest_wait_ms) : "–"}
            </td>
            <td className={cn("text-right", band.overtakings === 0 && "text-quiet")}>
              {band.overtakings > 0 ? count(band.overtakings) : "–"}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The queue's front is at the right, next to the slots. */
function Waiting({ bands, band, waiting }: { bands: readonly string[]; band: string; waiting: number }) {
  const boxes = Math.min(waiting, MOST_BOXES);
  const letter = bandLetter(bands, band);
  return (
    <span className="flex items-center justify-end gap-1.5">
      <span aria-hidden className="flex min-w-0 items-center justify-end gap-0.5">
        {waiting > boxes && <span className={cn("text-xs", bandText(bands, band))}>+{count(waiting - boxes)}</span>}
        {Array.from({ length: boxes }, (_, at) => (
          <Box
            key={`${at - boxes}`}
            letter={letter}
            className={cn("border border-current", bandText(bands, band))}
            small
          />
        ))}
      </span>
      <span className={cn("min-w-[3ch] text-right font-medium", waiting === 0 && "text-quiet")}>{count(waiting)}</span>
    </span>
  );
}

function Slots({ pool, bands }: { pool: LivePool; bands: readonly string[] }) {
  const before = useRef<readonly (string | null)[]>([]);
  const running = pool.bands.reduce((sum, band) => sum + band.running, 0);
  const slots = Math.min(pool.slots ?? running, MOST_SLOTS);
  const now = assignSlots(before.current, pool.bands, slots);
  before.current = now;
  const more = (pool.slots ?? running) - slots;
  return (
    <div className="my-2 flex items-start">
      <p className="w-22 shrink-0 text-xs leading-5 text-quiet">Slots</p>
      <div
        role="img"
        aria-label={`In the slots: ${pool.bands.map((band) => `${band.name} ${band.running}`).join(", ")}`}
        className="flex min-h-5 min-w-0 flex-wrap gap-0.5"
      >
        {now.map((band, at) => (
          <Box
            key={at}
            letter={band === null ? "" : bandLetter(bands, band)}
            className={
              band === null
                ? "border border-dashed border-line-strong"
                : cn("font-semibold text-panel", bandGround(bands, band))
            }
          />
        ))}
        {more > 0 && <span className="pl-1 text-xs leading-5 text-quiet">+{count(more)}</span>}
      </div>
    </div>
  );
}

function Box({ letter, className, small = false }: { letter: string; className: string; small?: boolean }) {
  return (
    <span
      className={cn(
        "inline-grid shrink-0 place-items-center rounded-sm transition-colors duration-150",
        small ? "size-4 text-[10px]" : "h-5 w-[1.15rem] text-xs",
        className,
      )}
    >
      {letter}
    </span>
  );
}
