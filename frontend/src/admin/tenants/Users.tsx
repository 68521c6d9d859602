import { type FormEvent, useRef, useState } from "react";
import { Button } from "@/ui/button";
import { Field, Input } from "@/ui/field";
import { toast } from "@/ui/toast";
import { useRights } from "../Gate";
import { Failure, ListState, Warning } from "../Outcome";
import { problemsOf } from "../problems";
import { answered, ifMatch, itemsOf, useChange, useUsers } from "../queries";
import { Problem, Source } from "../Source";
import type { UserView } from "../types";

/** The users of a tenant. */
export function Users({ tenant }: { tenant: string }) {
  const pages = useUsers({ tenant });
  const users = itemsOf(pages);
  const { mayChange } = useRights();
  const remove = useChange(async (api, { name, version }: UserView) => {
    await api.DELETE("/admin/users/{name}", { params: { path: { name }, header: ifMatch(version) } });
  });
  return (
    <section aria-label="Users">
      <h3 className="mb-2 font-medium">Users</h3>
      {users.length > 0 && (
        <ul className="divide-y divide-line border-y border-line">
          {users.map((user) => (
            <li key={user.name} className="flex min-h-10 flex-wrap items-center justify-between gap-2 py-1">
              <span className="min-w-0 break-all">
                {user.name} <Source source={user.source} />
                <Problem problem={user.problem} />
              </span>
              {mayChange && user.source === "api" && (
                <Button
                  kind="quiet"
                  size="small"
                  disabled={remove.isPending}
                  aria-label={`Delete the user ${user.name}`}
                  onClick={() => remove.mutate(user, { onSuccess: () => toast("Deleted", `User ${user.name}.`) })}
                >
                  Delete
                </Button>
              )}
            </li>
          ))}
        </ul>
      )}
      <ListState pages={pages} shown={users.length} what="users" empty="It has no users, so no keys either." />
      {remove.error && <Failure error={remove.error} />}
      {mayChange && <NewUser tenant={tenant} />}
    </section>
  );
}

function NewUser({ tenant }: { tenant: string }) {
  const [name, setName] = useState("");
  const input = useRef<HTMLInputElement>(null);
  const create = useChange((api, made: string) => answered(api.POST("/admin/users", { body: { name: made, tenant } })));
  const problems = problemsOf(create.error, ["name"]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim() === "" || create.isPending) return;
    create.mutate(name.trim(), {
      onSuccess: () => {
        toast("Created", `User ${name.trim()} of ${tenant}.`);
        setName("");
        input.current?.focus();
      },
    });
  };
  return (
    <form onSubmit={submit} noValidate className="mt-3">
      <div className="flex flex-wrap items-start gap-3">
        <Field label="New user" hint="Letters, digits, and . _ - /" error={problems.fields["name"] ?? null}>
          <Input ref={input} autoComplete="off" value={name} onChange={(event) => setName(event.target.value)} />
        </Field>
        <Button type="submit" className="mt-6" disabled={create.isPending || name.trim() === ""}>
          Add
        </Button>
      </div>
      {create.error !== null && <Warning words={problems.general} />}
    </form>
  );
}
