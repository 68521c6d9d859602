import { Plus } from "lucide-react";
import { type FormEvent, useState } from "react";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field, Input } from "@/ui/field";
import { identify, personasNow, usePasted } from "./personas";
import { selectPersona } from "./store";

/** Takes a key of one's own, asks the server whose it is, and adds its persona. `added` hears the persona's id. */
export function AddKey({ added = selectPersona }: { added?: (id: string) => void }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button size="small" onClick={() => setOpen(true)}>
        <Plus aria-hidden className="size-4" />
        Add a key
      </Button>
      <Dialog
        open={open}
        onOpenChange={setOpen}
        title="Add a key"
        description="To send with a key of your own. It is kept in this page's memory only: closing the page forgets it."
      >
        <KeyForm
          done={(id) => {
            setOpen(false);
            added(id);
          }}
        />
      </Dialog>
    </>
  );
}

function KeyForm({ done }: { done: (id: string) => void }) {
  const add = usePasted((state) => state.add);
  const [key, setKey] = useState("");
  const [failure, setFailure] = useState("");
  const [asking, setAsking] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setAsking(true);
    setFailure("");
    try {
      const persona = await identify(key.trim());
      if (!personasNow().some(({ id, demo }) => demo && id === persona.id)) add(persona);
      done(persona.id);
    } catch (error) {
      setFailure(error instanceof Error ? error.message : String(error));
    } finally {
      setAsking(false);
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)} className="flex flex-col gap-4">
      <Field label="API key" error={failure || null}>
        <Input
          type="password"
          autoComplete="off"
          spellCheck={false}
          placeholder="sk-…"
          value={key}
          onChange={(event) => setKey(event.target.value)}
        />
      </Field>
      <Button type="submit" kind="primary" disabled={!key.trim() || asking}>
        {asking ? "Asking whose it is…" : "Add"}
      </Button>
    </form>
  );
}
