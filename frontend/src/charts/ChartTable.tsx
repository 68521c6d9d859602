import { clock } from "@/lib/format";
import type { Second } from "@/live/seconds";
import { Table, Td, Th } from "@/ui/table";
import { rates, waited, waits } from "./series";

const SHOWN = 10;

/** The newest seconds of both charts, as text. */
export function ChartTable({ seconds, bands }: { seconds: readonly Second[]; bands: readonly string[] }) {
  const shown = seconds.slice(-SHOWN).reverse();
  const { allowed, denied, refused } = rates(shown);
  const by = bands.map((band) => ({ band, p50: waits(shown, band, 0.5), p99: waits(shown, band, 0.99) }));
  const told = (ms: number | null | undefined) => (ms == null ? "–" : waited(ms));
  return (
    <div className="mt-4">
      <Table label="The last seconds, as numbers" className="tabular-nums">
        <thead>
          <tr>
            <Th>Second</Th>
            <Th>Allowed</Th>
            <Th>Denied</Th>
            <Th>Refused</Th>
            {bands.map((band) => (
              <Th key={band}>{band} wait, p50 / p99</Th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map((second, at) => (
            <tr key={second.second}>
              <Td>{clock(second.second * 1000).slice(0, 8)}</Td>
              <Td>{allowed[at]}</Td>
              <Td>{denied[at]}</Td>
              <Td>{refused[at]}</Td>
              {by.map(({ band, p50, p99 }) => (
                <Td key={band}>
                  {told(p50[at])} / {told(p99[at])}
                </Td>
              ))}
            </tr>
          ))}
        </tbody>
      </Table>
    </div>
  );
}
