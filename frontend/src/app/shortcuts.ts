/** Keys of the keyboard that do something anywhere on the page, but not while somebody types or a dialog is open. */
import { useEffect, useRef } from "react";

export interface Shortcut {
  key: string;
  does: string;
  run: () => void;
  /** Whether it goes on while the key is held down. */
  repeats: boolean;
}

const shortcuts = new Map<string, Shortcut>();

/** Those that do something now, for the help. */
export function shortcutsNow(): Shortcut[] {
  return [...shortcuts.values()];
}

/** While the component is shown, this key does that. `key` is what `KeyboardEvent.key` says, in lower case. */
export function useShortcut(key: string, does: string, run: () => void, repeats = false): void {
  const latest = useRef(run);
  latest.current = run;
  useEffect(() => {
    const shortcut = { key, does, run: () => latest.current(), repeats };
    shortcuts.set(key, shortcut);
    return () => {
      if (shortcuts.get(key) === shortcut) shortcuts.delete(key);
    };
  }, [key, does, repeats]);
}

/** What takes the keyboard while it is open. Toasts, which are dialogs too but not modal, do not; nor does what is just closing. */
const OPEN = ["dialog", "alertdialog", "listbox"]
  .map((role) => `[role="${role}"]:not([aria-modal="false"], [data-closed])`)
  .join();

export function handleShortcut(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (document.querySelector(OPEN)) return;
  const shortcut = shortcuts.get(event.key.toLowerCase());
  if (!shortcut) return;
  event.preventDefault();
  if (!event.repeat || shortcut.repeats) shortcut.run();
}

function typing(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || target.matches('input, textarea, select, [role="combobox"], [role="slider"]'))
  );
}
