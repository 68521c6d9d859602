import { useFeedState } from "@/live/store";

export function StatusBar() {
  return <output>{useFeedState().is}</output>;
}
