import { useState } from "react";
import { bandColour, bandLetter } from "@/lib/bands";
import { count } from "@/lib/format";
import { type Palette, usePalette } from "@/lib/palette";
import { KEPT, type Second } from "@/live/seconds";
import { model, useLiveValue } from "@/live/store";
import { useNow } from "@/live/useNow";
import { Button } from "@/ui/button";
import { Panel } from "@/ui/panel";
import { ChartTable } from "./ChartTable";
import { Plot, type PlottedLine } from "./Plot";
import { ages, newest, rates, waited, waits } from "./series";

const DRAWN_MS = 1_000;
/** The last frame of a second comes a moment after it; only then is the second whole. */
const LATE_MS = 250;

/** Two charts of the last minute, by the server's seconds: what the limits decided, and how long each band waited. */
export function ChartsPanel() {
  const [table, setTable] = useState(false);
  const now = useNow(DRAWN_MS);
  const seconds = model.seconds.last(now - LATE_MS, KEPT - 1);
  const bands = useLiveValue((live) => live.bands);
  return (
    <Panel
      title="The last minute"
      className="min-w-0"
      actions={
        <Button size="small" aria-pressed={table} onClick={() => setTable(!table)}>
          As a table
        </Button>
      }
    >
      <div className="grid gap-6 xl:grid-cols-2">
        <Decisions seconds={seconds} />
        <Waits seconds={seconds} bands={bands} />
      </div>
      {table && <ChartTable seconds={seconds} bands={bands} />}
    </Panel>
  );
}

function Decisions({ seconds }: { seconds: Second[] }) {
  const palette = usePalette();
  const { allowed, denied, refused } = rates(seconds);
  const lines: PlottedLine[] = [
    { name: "allowed", colour: palette.allowed, values: allowed },
    { name: "denied by a limit", colour: palette.denied, dashed: true, values: denied },
    { name: "refused by the queue", colour: palette.warning, dashed: true, values: refused },
  ];
  return (
    <figure className="min-w-0">
      <figcaption className="font-medium">Decisions a second</figcaption>
      <Plot ages={ages(seconds.length)} lines={lines} palette={palette} format={count} />
      <ul className="mt-1 flex flex-wrap gap-x-5 gap-y-1 text-sm tabular-nums">
        {lines.map((line) => (
          <li key={line.name} className="inline-flex items-center gap-1.5">
            <Sample line={line} />
            <span className="text-quiet">{line.name}</span>
            <span className="min-w-[3ch]">{count(newest(line.values) ?? 0)}</span>
          </li>
        ))}
      </ul>
    </figure>
  );
}

function Waits({ seconds, bands }: { seconds: Second[]; bands: readonly string[] }) {
  const palette = usePalette();
  const lines = bands.flatMap((band): PlottedLine[] => {
    const colour = resolved(bandColour(bands, band), palette);
    return [
      { name: `${band} p50`, colour, dashed: true, values: waits(seconds, band, 0.5) },
      { name: `${band} p99`, colour, values: waits(seconds, band, 0.99) },
    ];
  });
  return (
    <figure className="min-w-0">
      <figcaption className="font-medium">
        Wait for a slot <span className="font-normal text-quiet">(p99 drawn through, p50 dashed)</span>
      </figcaption>
      <Plot ages={ages(seconds.length)} lines={lines} palette={palette} format={axisMs} logarithmic />
      <ul className="mt-1 flex flex-wrap gap-x-5 gap-y-1 text-sm tabular-nums">
        {bands.map((band, at) => (
          <li key={band} className="inline-flex items-center gap-1.5">
            <Sample line={lines[2 * at + 1]} letter={bandLetter(bands, band)} />
            <span className="text-quiet">{band} p99</span>
            <span className="min-w-[6ch]">{told(newest(lines[2 * at + 1]?.values ?? []))}</span>
          </li>
        ))}
      </ul>
    </figure>
  );
}

function axisMs(ms: number): string {
  return ms < 1000 ? `${ms} ms` : `${ms / 1000} s`;
}

function told(ms: number | null): string {
  return ms === null ? "–" : waited(ms);
}

/** A chart draws with colours, not with variables. */
function resolved(variable: string, palette: Palette): string {
  const at = /band-(\d)/.exec(variable)?.[1];
  return palette.bands[Number(at ?? 0)] ?? palette.text;
}

function Sample({ line, letter }: { line: PlottedLine | undefined; letter?: string }) {
  if (!line) return null;
  return (
    <svg aria-hidden="true" viewBox="0 0 24 12" className="h-3 w-6">
      <path d="M1 6h22" stroke={line.colour} strokeWidth="2.5" {...(line.dashed ? { strokeDasharray: "5 3" } : {})} />
      {letter && (
        <text x="12" y="10" textAnchor="middle" className="fill-text text-[11px] font-semibold" stroke="none">
          {letter}
        </text>
      )}
    </svg>
  );
}
