import { type FormEvent, type ReactNode, type RefObject, useState } from "react";
import { Button } from "@/ui/button";
import { Field, Input } from "@/ui/field";
import { Suggested } from "../Filter";
import { Warning } from "../Outcome";
import { listOf } from "../policies/draft";
import { Choice } from "../policies/PolicyForm";
import { problemsOf } from "../problems";
import { type KeySettings, type KeyView, ROLES, type Role } from "../types";
import { isoToLocal, localToIso } from "../when";

export const ROLE_WORDS: Record<Role, string> = {
  inference: "inference: asks models",
  operator: "operator: sees everything, revokes keys",
  admin: "admin: changes everything",
  gateway: "gateway: decides for another gateway",
};

const FIELDS = ["user", "role", "models", "expires_at"];

interface Props {
  /** The key whose settings are changed; a new one where this is left out. */
  start?: KeyView;
  users: readonly string[];
  models: readonly string[];
  error: unknown;
  busy: boolean;
  does: string;
  first: RefObject<HTMLInputElement | null>;
  onSave: (settings: KeySettings) => void;
  onCancel: () => void;
  said?: ReactNode;
}

/** What may be set of a key. */
export function KeyForm({ start, users, models, error, busy, does, first, onSave, onCancel, said }: Props) {
  const [user, setUser] = useState(start?.user ?? "");
  const [role, setRole] = useState<Role>(start?.role ?? "inference");
  const [may, setMay] = useState(start?.models?.join(", ") ?? "");
  const [expires, setExpires] = useState(isoToLocal(start?.expires_at));
  const [missing, setMissing] = useState(false);
  const problems = problemsOf(error, FIELDS);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setMissing(user.trim() === "");
    if (user.trim() === "") return first.current?.focus();
    const listed = listOf(may);
    onSave({ user: user.trim(), role, models: listed.length ? listed : null, expires_at: localToIso(expires) });
  };
  return (
    <form onSubmit={submit} noValidate className="flex flex-col gap-4">
      {said}
      <Suggested
        id="key-users"
        label="User"
        hint="Whose key it is; the user's tenant gives its band and limits"
        input={first}
        value={user}
        onChange={setUser}
        known={users}
        error={missing && user.trim() === "" ? "Say whose key it is." : (problems.fields["user"] ?? null)}
      />
      <Choice
        label="Role"
        value={role}
        options={ROLES}
        words={ROLE_WORDS}
        onChange={setRole}
        error={problems.fields["role"]}
      />
      <Suggested
        id="key-models"
        label="Models"
        hint="Names with commas between them; left empty: every model"
        value={may}
        onChange={setMay}
        known={models}
        error={problems.fields["models"] ?? null}
      />
      <Field label="Expires" hint="In your own zone; left empty: never" error={problems.fields["expires_at"] ?? null}>
        <Input type="datetime-local" value={expires} onChange={(event) => setExpires(event.target.value)} />
      </Field>
      {Boolean(error) && <Warning words={problems.general} />}
      <div className="flex flex-wrap justify-end gap-2">
        <Button onClick={onCancel}>Cancel</Button>
        <Button type="submit" kind="primary" disabled={busy} focusableWhenDisabled>
          {busy ? "Working…" : does}
        </Button>
      </div>
    </form>
  );
}
