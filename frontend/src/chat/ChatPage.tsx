import { Panel } from "@/ui/panel";

export function ChatPage() {
  return <Panel title="Chat">To come.</Panel>;
}
