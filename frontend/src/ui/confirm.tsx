import { AlertDialog as Base } from "@base-ui/react/alert-dialog";
import { type ReactNode, useRef } from "react";
import { Button } from "./button";

interface Props {
  open: boolean;
  title: string;
  /** What will happen, and whether it can be taken back. */
  children: ReactNode;
  /** What the button says that does it: a verb. */
  does: string;
  busy?: boolean;
  /** Why it did not work, in words. */
  failure?: ReactNode;
  onConfirm: () => void;
  onCancel: () => void;
}

/** Asks before something that cannot be taken back. Focus begins on the way out. */
export function Confirm({ open, title, children, does, busy = false, failure, onConfirm, onCancel }: Props) {
  const confirmed = useRef(false);
  const confirm = () => {
    confirmed.current = true;
    onConfirm();
  };
  // What had the focus may be gone with what was deleted: the content is the next best place.
  const after = () => (confirmed.current ? document.getElementById("main") : null);
  return (
    <Base.Root open={open} onOpenChange={(next) => !next && onCancel()}>
      <Base.Portal>
        <Base.Backdrop className="fixed inset-0 z-40 bg-black/50" />
        <Base.Popup
          finalFocus={after}
          className="fixed top-1/2 left-1/2 z-50 max-h-[90dvh] w-[min(30rem,calc(100vw-2rem))] -translate-x-1/2 -translate-y-1/2 overflow-auto rounded-lg border border-line bg-panel p-5 shadow-xl"
        >
          <Base.Title className="mb-2 text-lg font-semibold">{title}</Base.Title>
          <Base.Description render={<div className="mb-4 text-quiet" />}>{children}</Base.Description>
          {failure}
          <div className="flex flex-wrap justify-end gap-2">
            <Base.Close render={<Button />}>Cancel</Base.Close>
            <Button kind="danger" disabled={busy} focusableWhenDisabled onClick={confirm}>
              {busy ? "Working…" : does}
            </Button>
          </div>
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  );
}
