import { Panel } from "@/ui/panel";

export function LogPanel() {
  return <Panel title="The log">To come.</Panel>;
}
