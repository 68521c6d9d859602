import { Panel } from "@/ui/panel";

export function ChartsPanel() {
  return <Panel title="The last minute">To come.</Panel>;
}
