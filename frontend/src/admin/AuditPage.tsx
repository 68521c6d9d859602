import { Panel } from "@/ui/panel";

export function AuditPage() {
  return <Panel title="Audit">To come.</Panel>;
}
