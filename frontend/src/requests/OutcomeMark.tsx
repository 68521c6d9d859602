import { Check, CircleDashed, Clock, type LucideIcon, Square, TriangleAlert, Unplug, X } from "lucide-react";

import { cn } from "@/lib/cn";
import type { Outcome } from "@/traffic/sent";

const LOOKS: Record<Outcome, { name: string; icon: LucideIcon; colour: string }> = {
  waiting: { name: "under way", icon: CircleDashed, colour: "text-quiet" },
  allowed: { name: "allowed", icon: Check, colour: "text-allowed" },
  denied: { name: "denied", icon: X, colour: "text-denied" },
  refused: { name: "queue refused", icon: Clock, colour: "text-warning" },
  failed: { name: "failed", icon: TriangleAlert, colour: "text-warning" },
  unreachable: { name: "no answer", icon: Unplug, colour: "text-warning" },
  stopped: { name: "stopped", icon: Square, colour: "text-quiet" },
};

export const OUTCOMES = Object.entries(LOOKS).map(([value, { name }]) => ({ value, label: capital(name) }));

/** An outcome by shape, word and colour; the status beside it where it says more. */
export function OutcomeMark({ outcome, status }: { outcome: Outcome; status: number | null }) {
  const { name, icon: Icon, colour } = LOOKS[outcome];
  return (
    <span className={cn("inline-flex items-center gap-1 whitespace-nowrap", colour)}>
      <Icon aria-hidden className="size-3.5" />
      {name}
      {status !== null && status !== 200 && <span className="tabular-nums">{status}</span>}
    </span>
  );
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
