import { Slider as Base } from "@base-ui/react/slider";

interface Props {
  label: string;
  value: number;
  onChange: (value: number) => void;
  min: number;
  max: number;
  step?: number;
  /** How the value reads, such as `5 a second`. */
  format: (value: number) => string;
}

export function Slider({ label, value, onChange, min, max, step = 1, format }: Props) {
  return (
    <Base.Root
      value={value}
      onValueChange={(next) => onChange(Array.isArray(next) ? (next[0] ?? min) : next)}
      min={min}
      max={max}
      step={step}
      className="w-full"
    >
      <div className="flex justify-between gap-2 text-sm">
        <Base.Label>{label}</Base.Label>
        <span className="tabular-nums text-quiet">{format(value)}</span>
      </div>
      <Base.Control className="flex h-7 cursor-pointer items-center">
        <Base.Track className="h-1.5 w-full rounded-full bg-raised ring-1 ring-line-strong">
          <Base.Indicator className="rounded-full bg-accent" />
          <Base.Thumb
            getAriaValueText={(_, next) => format(next)}
            className="size-5 rounded-full border-2 border-accent bg-panel has-focus-visible:outline-2 has-focus-visible:outline-focus"
          />
        </Base.Track>
      </Base.Control>
    </Base.Root>
  );
}
