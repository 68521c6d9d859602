import { type FormEvent, type RefObject, useState } from "react";
import { useSession } from "@/app/session";
import { useLiveValue } from "@/live/store";
import { Button } from "@/ui/button";
import { Field, Input } from "@/ui/field";
import { Warning } from "../Outcome";
import { Choice } from "../policies/PolicyForm";
import { problemsOf } from "../problems";
import { answered, ifMatch, useChange } from "../queries";
import type { TenantView } from "../types";

/** Where the server tells no bands of its own. */
const BANDS: readonly string[] = ["internal", "premium", "standard", "batch"];

export function useBands(): readonly string[] {
  const told = useLiveValue((model) => model.hello?.bands);
  const set = useSession((session) => session.settings?.bands);
  return [told, set].find((bands) => bands?.length) ?? BANDS;
}

interface Props {
  /** The tenant that is changed; a new one where this is left out. */
  start?: TenantView;
  first: RefObject<HTMLInputElement | null>;
  onSaved: (name: string) => void;
  onCancel: () => void;
}

interface Settings {
  name: string;
  qos_tier: string;
  weight: number;
}

export function TenantForm({ start, first, onSaved, onCancel }: Props) {
  const bands = useBands();
  const [name, setName] = useState(start?.name ?? "");
  const [band, setBand] = useState(start?.qos_tier ?? "standard");
  const [weight, setWeight] = useState(String(start?.weight ?? 1));
  const save = useChange((api, body: Settings) => {
    if (!start) return answered(api.POST("/admin/tenants", { body }));
    const params = { path: { name: start.name }, header: ifMatch(start.version) };
    return answered(api.PUT("/admin/tenants/{name}", { params, body }));
  });
  const [tried, setTried] = useState(false);
  const problems = problemsOf(save.error, start ? ["qos_tier", "weight"] : ["name", "qos_tier", "weight"]);
  const number = readWeight(weight);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (number === null || save.isPending || name.trim() === "") return;
    save.mutate({ name: name.trim(), qos_tier: band, weight: number }, { onSuccess: (saved) => onSaved(saved.name) });
  };
  return (
    <form onSubmit={submit} noValidate className="flex flex-col gap-4">
      {!start && (
        <Field
          label="Name"
          hint="Letters, digits, and . _ - /"
          error={tried && name.trim() === "" ? "Give it a name." : (problems.fields["name"] ?? null)}
        >
          <Input ref={first} autoComplete="off" value={name} onChange={(event) => setName(event.target.value)} />
        </Field>
      )}
      <Choice
        label="Band"
        value={band}
        options={bands}
        words={(each) => each}
        onChange={setBand}
        error={problems.fields["qos_tier"]}
      />
      <Field
        label="Weight"
        hint="Its share of the band against the other tenants in it: 2 gets twice the tokens of 1"
        error={number === null ? "Write a number above 0, up to 1000." : (problems.fields["weight"] ?? null)}
      >
        <Input
          ref={start ? first : undefined}
          inputMode="decimal"
          autoComplete="off"
          value={weight}
          onChange={(event) => setWeight(event.target.value)}
        />
      </Field>
      {save.error !== null && <Warning words={problems.general} />}
      <div className="flex flex-wrap justify-end gap-2">
        <Button onClick={onCancel}>Cancel</Button>
        <Button type="submit" kind="primary" disabled={save.isPending} focusableWhenDisabled>
          {save.isPending ? "Saving…" : start ? "Save" : "Create"}
        </Button>
      </div>
    </form>
  );
}

function readWeight(text: string): number | null {
  const weight = Number(text.trim());
  return text.trim() !== "" && weight > 0 && weight <= 1000 ? weight : null;
}
