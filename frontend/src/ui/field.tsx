import { Field as Base } from "@base-ui/react/field";
import type { ComponentProps, ReactNode } from "react";
import { cn } from "@/lib/cn";

export const inputLook =
  "min-h-9 w-full rounded-md border border-line-strong bg-panel px-3 text-text placeholder:text-quiet disabled:opacity-50 aria-invalid:border-denied";

interface Props {
  label: string;
  /** Below the control. */
  hint?: ReactNode;
  /** What is wrong with the value; replaces the hint. */
  error?: string | null;
  className?: string;
  children: ReactNode;
}

/** A labelled control: put an `Input` or any `Field.Control` into it. */
export function Field({ label, hint, error, className, children }: Props) {
  return (
    <Base.Root invalid={Boolean(error)} className={cn("flex flex-col gap-1", className)}>
      <Base.Label className="text-sm font-medium">{label}</Base.Label>
      {children}
      {error ? (
        <Base.Error match className="text-sm text-denied">
          {error}
        </Base.Error>
      ) : (
        hint && <Base.Description className="text-sm text-quiet">{hint}</Base.Description>
      )}
    </Base.Root>
  );
}

export function Input({ className, ...props }: ComponentProps<typeof Base.Control> & { className?: string }) {
  return <Base.Control className={cn(inputLook, className)} {...props} />;
}

export function TextArea({ className, ...props }: ComponentProps<"textarea">) {
  return <Base.Control render={<textarea className={cn(inputLook, "min-h-24 py-2", className)} {...props} />} />;
}
