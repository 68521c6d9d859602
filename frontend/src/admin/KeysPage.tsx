import { Panel } from "@/ui/panel";

export function KeysPage() {
  return <Panel title="Keys">To come.</Panel>;
}
