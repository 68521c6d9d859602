import { Search } from "lucide-react";
import type { ReactNode, RefObject } from "react";
import { Field, Input } from "@/ui/field";
import { Select } from "@/ui/select";

/** The filters of a list, side by side where there is room. */
export function Filters({ label, children }: { label: string; children: ReactNode }) {
  return (
    <fieldset className="mb-4 grid min-w-0 grid-cols-2 items-end gap-3 sm:flex sm:flex-wrap">
      <legend className="sr-only">{label}</legend>
      {children}
    </fieldset>
  );
}

const ANY = "any";

interface FilterProps<T extends string> {
  label: string;
  value: T | null;
  onChange: (value: T | null) => void;
  options: readonly T[];
  /** How an option reads; as it is where this is left out. */
  words?: (value: T) => string;
}

/** One of a few values, or any. */
export function Filter<T extends string>({ label, value, onChange, options, words = (each) => each }: FilterProps<T>) {
  const all = [{ value: ANY, label: "any" }, ...options.map((each) => ({ value: each as string, label: words(each) }))];
  return (
    <Field label={label} className="min-w-32 grow-0">
      <Select
        label={label}
        value={value ?? ANY}
        onChange={(next) => onChange(options.find((each) => each === next) ?? null)}
        options={all}
      />
    </Field>
  );
}

export function SearchField({
  label,
  value,
  onChange,
}: {
  label: string;
  value: string;
  onChange: (to: string) => void;
}) {
  return (
    <Field label={label} className="col-span-2 min-w-56 grow">
      <span className="relative">
        <Search aria-hidden className="pointer-events-none absolute top-2.5 left-2.5 size-4 text-quiet" />
        <Input
          type="search"
          autoComplete="off"
          className="pl-9"
          value={value}
          onChange={(event) => onChange(event.target.value)}
        />
      </span>
    </Field>
  );
}

/** Text that the server filters by: typed, or chosen of what is known. */
export function Suggested({
  id,
  label,
  value,
  onChange,
  known,
  hint,
  error,
  input,
}: {
  id: string;
  label: string;
  value: string;
  onChange: (to: string) => void;
  known: readonly string[];
  hint?: ReactNode;
  error?: string | null;
  input?: RefObject<HTMLInputElement | null>;
}) {
  return (
    <Field label={label} hint={hint} error={error ?? null} className="min-w-32">
      <Input
        ref={input}
        list={id}
        autoComplete="off"
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
      <datalist id={id}>
        {known.map((each) => (
          <option key={each} value={each} />
        ))}
      </datalist>
    </Field>
  );
}
