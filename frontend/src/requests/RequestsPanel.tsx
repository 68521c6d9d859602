import { Panel } from "@/ui/panel";

export function RequestsPanel() {
  return <Panel title="Requests">To come.</Panel>;
}
