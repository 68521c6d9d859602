import { Switch as Base } from "@base-ui/react/switch";

interface Props {
  label: string;
  checked: boolean;
  onChange: (checked: boolean) => void;
}

export function Switch({ label, checked, onChange }: Props) {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the switch within is the control; Base UI makes its input
    <label className="inline-flex cursor-pointer items-center gap-2 text-sm">
      <Base.Root
        checked={checked}
        onCheckedChange={(next) => onChange(next)}
        className="inline-flex h-5 w-9 shrink-0 items-center rounded-full border border-line-strong bg-raised px-0.5 data-checked:bg-accent"
      >
        <Base.Thumb className="size-3.5 rounded-full bg-line-strong transition-transform data-checked:translate-x-4 data-checked:bg-accent-text" />
      </Base.Root>
      {label}
    </label>
  );
}
