import { Panel } from "@/ui/panel";

export function PoliciesPage() {
  return <Panel title="Policies">To come.</Panel>;
}
