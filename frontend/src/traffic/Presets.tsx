import { Play, Square } from "lucide-react";
import { cn } from "@/lib/cn";
import { usePersonas } from "./personas";
import { PRESETS, type Preset } from "./presets";
import { castOf, startPreset, stopTraffic, useTraffic } from "./store";

/** Each is a button that says what one will see. */
export function Presets() {
  const personas = usePersonas();
  const running = useTraffic((traffic) => traffic.preset);
  return (
    <ul className="grid grid-cols-2 gap-1.5 sm:grid-cols-1">
      {PRESETS.map((preset) => (
        <li key={preset.id} className="flex">
          <PresetButton
            preset={preset}
            running={running === preset.id}
            missing={castOf(preset, personas) ? [] : missingBands(preset, new Set(personas.map(({ band }) => band)))}
          />
        </li>
      ))}
    </ul>
  );
}

function missingBands(preset: Preset, bands: ReadonlySet<string>): string[] {
  return [...new Set(preset.parts.map(({ band }) => band))].filter((band) => !bands.has(band));
}

function PresetButton({ preset, running, missing }: { preset: Preset; running: boolean; missing: string[] }) {
  const Icon = running ? Square : Play;
  return (
    <button
      type="button"
      aria-pressed={running}
      disabled={missing.length > 0}
      onClick={() => (running ? stopTraffic() : void startPreset(preset))}
      className={cn(
        "flex w-full cursor-pointer items-start gap-2 rounded-md border border-line px-3 py-2 text-left sm:gap-2.5 hover:bg-raised disabled:cursor-not-allowed",
        running && "border-accent bg-raised ring-1 ring-accent",
      )}
    >
      <Icon aria-hidden className={cn("mt-0.5 size-4 shrink-0", running ? "text-accent" : "text-quiet")} />
      <span>
        <span className="block text-sm font-medium">{preset.name}</span>
        <span className="sr-only text-[0.8125rem] leading-snug text-quiet sm:not-sr-only sm:block">
          {missing.length > 0 ? `Needs a key of ${missing.join(" and of ")}.` : preset.says}
        </span>
      </span>
    </button>
  );
}
