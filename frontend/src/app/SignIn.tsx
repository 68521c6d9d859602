import { type FormEvent, useState } from "react";
import { feed, useFeedState } from "@/live/store";
import { Button } from "@/ui/button";
import { Field, Input } from "@/ui/field";
import { Panel } from "@/ui/panel";
import { useSession } from "./session";

/** Asks for a key where the server has no demo. */
export function SignIn() {
  const signIn = useSession((session) => session.signIn);
  const state = useFeedState();
  const [key, setKey] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!key.trim()) return;
    signIn(key);
    feed.again(); // the same key as before is no other key to follow
  };
  return (
    <Panel title="Show a key" className="mx-auto mt-12 max-w-xl">
      <form onSubmit={submit} className="flex flex-col gap-4">
        <Field
          label="API key"
          hint="A key of an admin or operator shows everything; any other key its own tenant's share. It is kept in memory only: closing this page forgets it."
          error={state.is === "refused" ? state.why : null}
        >
          <Input
            type="password"
            autoComplete="off"
            value={key}
            onChange={(event) => setKey(event.target.value)}
            placeholder="sk-…"
          />
        </Field>
        <Button type="submit" kind="primary" disabled={!key.trim()}>
          Connect
        </Button>
      </form>
    </Panel>
  );
}
