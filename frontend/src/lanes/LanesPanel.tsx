import { Panel } from "@/ui/panel";

export function LanesPanel() {
  return <Panel title="Lanes">To come.</Panel>;
}
