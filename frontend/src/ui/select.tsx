import { Select as Base } from "@base-ui/react/select";
import { Check, ChevronDown } from "lucide-react";
import type { ReactNode } from "react";
import { cn } from "@/lib/cn";
import { inputLook } from "./field";

export interface Option {
  value: string;
  label: ReactNode;
}

interface Props {
  /** What is chosen here, for those who do not see the label beside it. */
  label: string;
  value: string;
  onChange: (value: string) => void;
  options: readonly Option[];
  className?: string;
  disabled?: boolean;
}

export function Select({ label, value, onChange, options, className, disabled = false }: Props) {
  return (
    <Base.Root
      items={options}
      value={value}
      onValueChange={(next) => next !== null && onChange(next)}
      disabled={disabled}
    >
      <Base.Trigger
        aria-label={label}
        className={cn(inputLook, "inline-flex cursor-pointer items-center justify-between gap-2 text-left", className)}
      >
        <Base.Value className="truncate" />
        <Base.Icon>
          <ChevronDown aria-hidden className="size-4" />
        </Base.Icon>
      </Base.Trigger>
      <Base.Portal>
        <Base.Positioner className="z-50" sideOffset={4} alignItemWithTrigger={false}>
          <Base.Popup
            finalFocus={(closed) => closed === "keyboard"} // else the next shortcut would choose by its first letter
            onKeyDown={(event) => {
              // Nor may it while the list, which still has the focus, is on its way out.
              if (event.currentTarget.hasAttribute("data-closed")) event.preventBaseUIHandler();
            }}
            className="max-h-80 min-w-(--anchor-width) overflow-auto rounded-md border border-line-strong bg-panel p-1 shadow-lg"
          >
            {options.map((option) => (
              <Base.Item
                key={option.value}
                value={option.value}
                className="flex cursor-pointer items-center gap-2 rounded px-2 py-1.5 data-highlighted:bg-raised"
              >
                <Base.ItemIndicator className="w-4" keepMounted={false}>
                  <Check aria-hidden className="size-4" />
                </Base.ItemIndicator>
                <Base.ItemText>{option.label}</Base.ItemText>
              </Base.Item>
            ))}
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}
