import { Check, ChevronRight, Play, Square, Trash2, X } from "lucide-react";
import { useId } from "react";
import { cn } from "@/lib/cn";
import { count } from "@/lib/format";
import { BandBadge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { PersonaSettings } from "./PersonaSettings";
import { maskedKey, type Persona, usePasted } from "./personas";
import { useTotals } from "./sent";
import { selectPersona, startPersona, stopPersona, useTraffic } from "./store";

interface Props {
  persona: Persona;
  bands: readonly string[];
  selected: boolean;
}

/** A persona in a line: who, how many of its requests had which end, start and stop; below it, where selected, its settings. */
export function PersonaCard({ persona, bands, selected }: Props) {
  const running = useTraffic((traffic) => traffic.running.has(persona.id));
  const settings = useId();
  return (
    <li className={cn("rounded-md border border-line", selected && "border-line-strong")}>
      <div className="flex items-center gap-1 p-1">
        <button
          type="button"
          aria-expanded={selected}
          aria-controls={settings}
          onClick={() => selectPersona(persona.id)}
          className="flex min-h-9 min-w-0 grow cursor-pointer items-center gap-1.5 rounded px-1.5 text-left text-sm hover:bg-raised"
        >
          <ChevronRight aria-hidden className={cn("size-4 shrink-0 text-quiet", selected && "rotate-90")} />
          <BandBadge bands={bands} band={persona.band} />
          <span className="sr-only">{persona.name}</span>
          <Counted persona={persona.id} />
        </button>
        <Button
          kind="quiet"
          size="icon"
          aria-label={`${running ? "Stop" : "Start"} ${persona.name}`}
          onClick={() => (running ? stopPersona(persona.id) : void startPersona(persona.id))}
        >
          {running ? <Square aria-hidden className="size-4 text-accent" /> : <Play aria-hidden className="size-4" />}
        </Button>
      </div>
      <div id={settings} hidden={!selected} className="border-t border-line p-3">
        {selected && (
          <>
            <Whose persona={persona} />
            <PersonaSettings persona={persona} />
          </>
        )}
      </div>
    </li>
  );
}

function Counted({ persona }: { persona: string }) {
  const { sent, allowed, denied, refused, other } = useTotals(persona);
  if (sent === 0) return null;
  const rest = refused + other;
  return (
    <span className="ml-auto flex items-center gap-2 tabular-nums">
      <span className="inline-flex items-center gap-0.5 text-allowed">
        <Check aria-hidden className="size-3.5" />
        {count(allowed)}
        <span className="sr-only"> allowed,</span>
      </span>
      <span className="inline-flex items-center gap-0.5 text-denied">
        <X aria-hidden className="size-3.5" />
        {count(denied)}
        <span className="sr-only"> denied{rest > 0 && ","}</span>
      </span>
      {rest > 0 && (
        <span className="text-warning">
          <span aria-hidden>! </span>
          {count(rest)}
          <span className="sr-only"> refused by the queue, failed or stopped</span>
        </span>
      )}
    </span>
  );
}

function Whose({ persona }: { persona: Persona }) {
  const remove = usePasted((state) => state.remove);
  return (
    <div className="mb-2 flex items-center justify-between gap-2 text-sm">
      <p className="min-w-0 truncate">
        {persona.name} <code className="text-quiet">{persona.demo ? persona.key : maskedKey(persona.key)}</code>
      </p>
      {!persona.demo && (
        <Button
          kind="quiet"
          size="icon"
          aria-label={`Forget the key of ${persona.name}`}
          onClick={() => {
            stopPersona(persona.id);
            remove(persona.id);
          }}
        >
          <Trash2 aria-hidden className="size-4" />
        </Button>
      )}
    </div>
  );
}
