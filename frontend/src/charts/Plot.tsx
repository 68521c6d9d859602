import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Palette } from "@/lib/palette";
import type { Line } from "./series";

export interface PlottedLine {
  name: string;
  colour: string;
  dashed?: boolean;
  values: Line;
}

interface Props {
  /** Of each value: seconds before now, as a negative number. */
  ages: number[];
  lines: PlottedLine[];
  palette: Palette;
  /** Writes a value of the axis. */
  format: (value: number) => string;
  logarithmic?: boolean;
}

const HEIGHT_PX = 150;

/** A chart of the last minute. Made anew for another theme or other lines; a new second only brings new data. */
export function Plot({ ages, lines, palette, format, logarithmic = false }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const look = JSON.stringify(lines.map(({ name, colour, dashed }) => [name, colour, dashed ?? false]));
  useEffect(() => {
    const parent = place.current;
    if (!parent) return undefined;
    const kinds = JSON.parse(look) as [string, string, boolean][];
    const made = new uPlot(optionsOf(kinds, palette, format, logarithmic, parent.clientWidth), [[]], parent);
    plot.current = made;
    const sizes = new ResizeObserver(() => made.setSize({ width: parent.clientWidth, height: HEIGHT_PX }));
    sizes.observe(parent);
    return () => {
      sizes.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [look, palette, format, logarithmic]);
  useEffect(() => {
    plot.current?.setData([ages, ...lines.map((line) => line.values)] as uPlot.AlignedData);
  });
  return <div ref={place} aria-hidden className="min-w-0 overflow-hidden" style={{ height: HEIGHT_PX }} />;
}

function optionsOf(
  kinds: [name: string, colour: string, dashed: boolean][],
  palette: Palette,
  format: (value: number) => string,
  logarithmic: boolean,
  width: number,
): uPlot.Options {
  const axis: uPlot.Axis = {
    stroke: palette.quiet,
    font: `12px ${palette.font}`,
    grid: { stroke: palette.line, width: 1 },
    ticks: { show: false },
  };
  return {
    width: Math.max(1, width),
    height: HEIGHT_PX,
    padding: [8, 16, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { time: false, range: [-60, 0] },
      y: logarithmic ? { distr: 3, log: 10, range: decades } : { range: fromZero },
    },
    axes: [
      {
        ...axis,
        size: 24,
        gap: 4,
        splits: () => [-60, -45, -30, -15, 0],
        values: (_, at) => at.map((age) => (age === 0 ? "now" : `−${-age} s`)),
      },
      {
        ...axis,
        size: 54,
        gap: 6,
        values: (_, at) => at.map(format),
        ...(logarithmic
          ? { splits: everyDecade, filter: (_, at) => at } // uPlot would leave labels out where decades are many
          : { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000] }),
      },
    ],
    series: [
      {},
      ...kinds.map(([label, stroke, dashed]) => ({
        label,
        stroke,
        width: dashed ? 1.5 : 2,
        ...(dashed ? { dash: [5, 4] } : {}),
        points: { show: true, size: 5, fill: stroke, width: 0, filter: alone },
      })),
    ],
  };
}

function fromZero(_: uPlot, __: number, most: number): [number, number] {
  return [0, Math.max(4, Math.ceil((most || 0) * 1.1))];
}

/** From 1 ms, which nothing is told below, to the next power of ten, and 1 s at least. */
function decades(_: uPlot, __: number, most: number): [number, number] {
  return [1, Math.max(1_000, 10 ** Math.ceil(Math.log10(most || 1)))];
}

function everyDecade(_: uPlot, __: number, least: number, most: number): number[] {
  const splits = [];
  for (let value = least; value <= most; value *= 10) splits.push(value);
  return splits;
}

/** Points are for values that stand alone: no line leads to them. */
function alone(plot: uPlot, series: number): number[] {
  const values = plot.data[series] ?? [];
  const found = [];
  for (let at = 0; at < values.length; at += 1) {
    if (values[at] != null && values[at - 1] == null && values[at + 1] == null) found.push(at);
  }
  return found;
}
