import { Panel } from "@/ui/panel";

export function TrafficPanel() {
  return <Panel title="Traffic">To come.</Panel>;
}
