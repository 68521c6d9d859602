import { Button } from "@/ui/button";
import { Kbd } from "@/ui/kbd";
import { Select } from "@/ui/select";
import { Slider } from "@/ui/slider";
import { Switch } from "@/ui/switch";
import type { Persona } from "./personas";
import { SHORT_REPLY } from "./presets";
import { MOST_AT_ONCE } from "./scheduler";
import { burst, choose, USUAL, useTraffic } from "./store";
import { useModels } from "./useModels";

export const BURST = 20;
const MOST_RATE = 20;

const WHOLE = "whole";
const LENGTHS = [
  { value: String(SHORT_REPLY), label: `Short replies: ${SHORT_REPLY} tokens` },
  { value: "16", label: "Replies of 16 tokens" },
  { value: WHOLE, label: "Whole replies" },
];

/** What one persona sends, and how fast. */
export function PersonaSettings({ persona }: { persona: Persona }) {
  const { id } = persona;
  const choice = useTraffic((traffic) => traffic.choices[id]) ?? USUAL;
  const { models, failure } = useModels(persona);
  const model = choice.model || models[0] || "";
  return (
    <div className="flex flex-col gap-2">
      <div className="grid grid-cols-2 gap-2">
        <Button kind="plain" size="small" aria-keyshortcuts="S" onClick={() => void burst(id, 1)}>
          Send 1
          <span aria-hidden>
            <Kbd>S</Kbd>
          </span>
        </Button>
        <Button kind="plain" size="small" aria-keyshortcuts="B" onClick={() => void burst(id, BURST)}>
          Burst {String(BURST)}
          <span aria-hidden>
            <Kbd>B</Kbd>
          </span>
        </Button>
      </div>
      <Slider
        label="Rate"
        value={choice.perSecond}
        min={0.5}
        max={MOST_RATE}
        step={0.5}
        onChange={(perSecond) => choose(id, { perSecond })}
        format={(value) => `${value} a second`}
      />
      <Slider
        label="Concurrency"
        value={choice.atOnce}
        min={1}
        max={MOST_AT_ONCE}
        onChange={(atOnce) => choose(id, { atOnce })}
        format={(value) => `${value} at once`}
      />
      <Select
        label={`Model for ${persona.name}`}
        value={model}
        onChange={(next) => choose(id, { model: next })}
        options={[...new Set([...models, model])].filter(Boolean).map((value) => ({ value, label: value }))}
      />
      <Select
        label={`Length of replies for ${persona.name}`}
        value={choice.maxTokens === null ? WHOLE : String(choice.maxTokens)}
        onChange={(next) => choose(id, { maxTokens: next === WHOLE ? null : Number(next) })}
        options={LENGTHS}
      />
      <Switch label="Stream replies" checked={choice.stream} onChange={(stream) => choose(id, { stream })} />
      {failure && (
        <p role="alert" className="text-sm text-denied">
          {failure}
        </p>
      )}
    </div>
  );
}
