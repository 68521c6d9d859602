import { StartButton } from "@/traffic/StartButton";

/** Before there is anything to see: what will be seen, and how to begin. The page sends nothing by itself. */
export function Beginning() {
  return (
    <div className="mx-auto flex max-w-xl flex-col items-center gap-2.5 rounded-lg border border-line-strong bg-panel px-5 py-3 text-center shadow-lg">
      <p className="text-sm">
        Every admitted request is an entry in Redis, and gives its room back once it is as old as the window. One that
        finds the window full is denied, and leaves no entry.
      </p>
      <StartButton className="w-full max-w-96" />
    </div>
  );
}
