import { Copy } from "lucide-react";
import { useRef, useState } from "react";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field, Input } from "@/ui/field";
import type { Issued } from "./issuing";

/** Shows a whole key, once. It closes only when somebody says that they have it: closing it forgets the key. */
export function SecretDialog({ issued, onStored }: { issued: Issued | null; onStored: () => void }) {
  const field = useRef<HTMLInputElement>(null);
  const stored = useRef<HTMLButtonElement>(null);
  const [said, setSaid] = useState("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(issued?.secret ?? "");
      setSaid("Copied.");
      stored.current?.focus();
    } catch {
      // Browsers refuse it without a secure origin or a permission.
      field.current?.select();
      setSaid("The browser does not let this page copy. The key is selected: press Ctrl+C, or Cmd+C.");
    }
  };
  const stay = () => {
    setSaid("This key is shown once. If you have stored it, say so; closing forgets it.");
    stored.current?.focus();
  };
  const close = () => {
    setSaid("");
    onStored();
  };
  return (
    <Dialog
      open={issued !== null}
      onOpenChange={(next) => !next && stay()}
      title="Store this key now"
      description="It is shown here once. The server keeps only its SHA-256, and this page forgets it when this closes."
      initialFocus={field}
    >
      {issued && (
        <>
          <Field label={`The whole key of ${issued.id}`}>
            <Input
              ref={field}
              readOnly
              autoComplete="off"
              className="font-mono text-sm"
              value={issued.secret}
              onFocus={(event) => event.currentTarget.select()}
            />
          </Field>
          <p role="status" className="mt-2 min-h-6 text-sm">
            {said}
          </p>
          <div className="mt-2 flex flex-wrap justify-end gap-2">
            <Button onClick={copy}>
              <Copy aria-hidden className="size-4" />
              Copy
            </Button>
            <Button ref={stored} kind="primary" onClick={close}>
              I have stored it
            </Button>
          </div>
        </>
      )}
    </Dialog>
  );
}
