import { Meter as Base } from "@base-ui/react/meter";
import { cn } from "@/lib/cn";
import { count } from "@/lib/format";

interface Props {
  /** What is measured, for those who do not see what stands beside it. */
  label: string;
  used: number;
  limit: number;
  /** Behind the numbers, such as `requests`. */
  unit?: string;
  className?: string;
}

/** How much of a limit is used: a bar, and the same in words. Full ones are hatched as well as red. */
export function Meter({ label, used, limit, unit = "", className }: Props) {
  const share = limit > 0 ? Math.min(1, used / limit) : 1;
  const words = `${count(used)} of ${count(limit)}${unit && ` ${unit}`}`;
  return (
    <Base.Root
      aria-label={label}
      value={Math.min(used, limit)}
      max={limit}
      getAriaValueText={() => words}
      className={cn("flex min-w-28 flex-col gap-1", className)}
    >
      <span aria-hidden className="text-sm tabular-nums whitespace-nowrap">
        {words}
      </span>
      <Base.Track className="h-2 w-full overflow-hidden rounded-full bg-raised ring-1 ring-line-strong">
        <Base.Indicator className={cn("h-full", look(share))} />
      </Base.Track>
    </Base.Root>
  );
}

function look(share: number): string {
  if (share >= 1) return "hatched bg-denied";
  return share >= 0.8 ? "bg-warning" : "bg-allowed";
}
