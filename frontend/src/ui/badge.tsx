import type { ReactNode } from "react";
import { bandLetter, bandText } from "@/lib/bands";
import { cn } from "@/lib/cn";

export function Badge({ className, children }: { className?: string; children: ReactNode }) {
  return (
    <span
      className={cn("inline-flex items-center gap-1 rounded border border-current px-1.5 text-xs leading-5", className)}
    >
      {children}
    </span>
  );
}

/** A band by its letter and its colour; its name is what is read aloud, and shown where there is room. */
export function BandBadge({ bands, band, name = true }: { bands: readonly string[]; band: string; name?: boolean }) {
  return (
    <span className={cn("inline-flex items-center gap-1.5 font-medium", bandText(bands, band))}>
      <span aria-hidden className="inline-grid size-5 place-items-center rounded border border-current text-xs">
        {bandLetter(bands, band)}
      </span>
      <span className={name ? undefined : "sr-only"}>{band}</span>
    </span>
  );
}
