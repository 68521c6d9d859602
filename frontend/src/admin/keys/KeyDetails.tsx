import { type FormEvent, useState } from "react";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Field, Input } from "@/ui/field";
import { readDuration } from "../durations";
import { useRights } from "../Gate";
import { Failure } from "../Outcome";
import { FileNote, Problem, Source } from "../Source";
import type { KeyView } from "../types";
import { moment } from "../when";
import { type Issued, useRotateKey } from "./issuing";
import { StateBadge } from "./KeyTable";
import { keyState, overlapWords } from "./state";

interface Props {
  of: KeyView;
  tenant: string | undefined;
  onEdit: () => void;
  onRevoke: () => void;
  onDelete: () => void;
  onIssued: (issued: Issued) => void;
}

/** One key: what it may do, and what can be done about it. */
export function KeyDetails({ of, tenant, onEdit, onRevoke, onDelete, onIssued }: Props) {
  const { mayChange } = useRights();
  const ofApi = of.source === "api";
  return (
    <div className="flex flex-col gap-5">
      <div>
        <Facts of={of} tenant={tenant} />
        <Problem problem={of.problem} />
      </div>
      {!ofApi && (
        <FileNote what="key">
          {" "}
          To end it, set its <code>revoked: true</code> there.
        </FileNote>
      )}
      {ofApi && mayChange && !of.revoked && <Rotate of={of} onIssued={onIssued} />}
      {ofApi && (
        <div className="flex flex-wrap gap-2">
          {mayChange && <Button onClick={onEdit}>Change what it may do</Button>}
          {!of.revoked && (
            <Button kind="danger" onClick={onRevoke}>
              Revoke
            </Button>
          )}
          {mayChange && (
            <Button kind="danger" onClick={onDelete}>
              Delete
            </Button>
          )}
        </div>
      )}
    </div>
  );
}

function Facts({ of, tenant }: { of: KeyView; tenant: string | undefined }) {
  const now = Date.now();
  const facts: [string, React.ReactNode][] = [
    [
      "State",
      <>
        <StateBadge state={keyState(of, now)} /> {overlapWords(of, now)}
      </>,
    ],
    ["User", tenant ? `${of.user} of ${tenant}` : of.user],
    ["Role", of.role],
    ["Models", of.models?.join(", ") ?? "every model"],
    ["Expires", of.expires_at ? moment(of.expires_at) : "never"],
    [
      "Source",
      <>
        <Source source={of.source} /> {of.demo && <Badge className="text-quiet">demo: everybody knows it</Badge>}
      </>,
    ],
  ];
  return (
    <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5">
      {facts.map(([name, value]) => (
        <div key={name} className="contents">
          <dt className="text-quiet">{name}</dt>
          <dd className="min-w-0 break-words">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Rotate({ of, onIssued }: { of: KeyView; onIssued: (issued: Issued) => void }) {
  const [overlap, setOverlap] = useState("24h");
  const rotate = useRotateKey(onIssued);
  const { problem } = readDuration(overlap, 0);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!problem) rotate.mutate({ id: of.id, version: of.version, overlap: overlap.replace(/\s+/g, "") });
  };
  return (
    <form onSubmit={submit} noValidate className="rounded-md border border-line bg-raised p-3">
      <h3 className="mb-1 font-medium">Rotate</h3>
      <p className="mb-3 text-sm text-quiet">
        A new secret for the same id: its windows and policies go on. The secret now works on for a while, so that
        clients can change over.
      </p>
      {rotate.error && <Failure error={rotate.error} />}
      <div className="flex flex-wrap items-start gap-3">
        <Field label="Old secret works for" hint="0s ends it at once; 31d is the most" error={problem ?? null}>
          <Input value={overlap} autoComplete="off" onChange={(event) => setOverlap(event.target.value)} />
        </Field>
        <Button type="submit" className="mt-6" disabled={rotate.isPending} focusableWhenDisabled>
          {rotate.isPending ? "Rotating…" : "Rotate"}
        </Button>
      </div>
    </form>
  );
}
