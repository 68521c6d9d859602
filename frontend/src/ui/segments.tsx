import { Toggle } from "@base-ui/react/toggle";
import { ToggleGroup } from "@base-ui/react/toggle-group";
import type { ReactNode } from "react";

interface Props<T extends string> {
  label: string;
  value: T;
  onChange: (value: T) => void;
  options: readonly { value: T; label: ReactNode }[];
}

/** One of a few, all of them in sight. */
export function Segments<T extends string>({ label, value, onChange, options }: Props<T>) {
  return (
    <ToggleGroup
      aria-label={label}
      value={[value]}
      onValueChange={([next]) => next !== undefined && onChange(next as T)}
      className="inline-flex rounded-md border border-line-strong p-0.5"
    >
      {options.map((option) => (
        <Toggle
          key={option.value}
          value={option.value}
          className="cursor-pointer rounded px-2.5 py-1 text-sm text-quiet hover:text-text data-pressed:bg-accent data-pressed:text-accent-text"
        >
          {option.label}
        </Toggle>
      ))}
    </ToggleGroup>
  );
}
