import { TriangleAlert } from "lucide-react";
import { Badge } from "@/ui/badge";

/** Who writes an entity: the configuration file, or the API. */
export function Source({ source }: { source: "config" | "api" }) {
  return <Badge className={source === "api" ? "text-accent" : "text-quiet"}>{source === "api" ? "API" : "file"}</Badge>;
}

/** Why an entity has no effect now. */
export function Problem({ problem }: { problem: string | null | undefined }) {
  if (!problem) return null;
  return (
    <p className="mt-1 flex gap-1.5 text-sm text-warning">
      <TriangleAlert aria-hidden className="mt-0.5 size-4 shrink-0" />
      <span>No effect now: {problem}</span>
    </p>
  );
}

/** Where to change what the API may not. */
export function FileNote({ what, children }: { what: string; children?: React.ReactNode }) {
  return (
    <p className="rounded-md border border-line bg-raised p-3 text-sm">
      This {what} stands in the configuration file, under <code>user_config.catalogue</code>, and is read-only here.
      Change it there, then run <code>serve deploy serve_config.yaml</code>: no replica restarts.
      {children}
    </p>
  );
}
