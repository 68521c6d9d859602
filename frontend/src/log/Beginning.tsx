/** Before there is anything to see: what will be seen, and how to begin. */
export function Beginning() {
  return (
    <div className="mx-auto flex max-w-xl flex-col items-center gap-4 rounded-lg border border-line bg-panel p-5 text-center">
      <p className="text-quiet">
        Every admitted request becomes an entry in Redis and counts until it is as old as the window; then its room is
        back. A request that finds the window full is denied and leaves no entry.
      </p>
    </div>
  );
}
