import { Check, X } from "lucide-react";
import { Badge } from "@/ui/badge";
import type { Met } from "./sla";

const LOOK: Record<Met, string> = {
  met: "text-allowed",
  missed: "text-denied",
  "nothing agreed": "text-quiet border-transparent px-0",
  "no requests": "text-quiet border-transparent px-0",
};

export function MetBadge({ met }: { met: Met }) {
  return (
    <Badge className={LOOK[met]}>
      {met === "met" && <Check aria-hidden className="size-3" />}
      {met === "missed" && <X aria-hidden className="size-3" />}
      {met}
    </Badge>
  );
}
