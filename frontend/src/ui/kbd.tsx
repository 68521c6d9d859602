export function Kbd({ children }: { children: string }) {
  return (
    <kbd className="rounded border border-line-strong bg-raised px-1.5 font-mono text-xs leading-5">{children}</kbd>
  );
}
