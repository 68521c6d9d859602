import { Panel } from "@/ui/panel";

export function TenantsPage() {
  return <Panel title="Tenants">To come.</Panel>;
}
