import { useDeferredValue, useState } from "react";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Panel } from "@/ui/panel";
import { Difference } from "./audit/Difference";
import { Filter, Filters, Suggested } from "./Filter";
import { Gate } from "./Gate";
import { ListState } from "./Outcome";
import { type Filters as Asked, itemsOf, useAudit } from "./queries";
import { type AuditView, KINDS, type Kind } from "./types";
import { moment } from "./when";

export function AuditPage() {
  return (
    <Gate title="Audit log">
      <Audit />
    </Gate>
  );
}

/** Who changed what, newest first. */
function Audit() {
  const [kind, setKind] = useState<Kind | null>(null);
  const [name, setName] = useState("");
  const [actor, setActor] = useState("");
  const filters: Asked<"listAudit"> = {
    ...(kind && { kind }),
    ...(name.trim() && { name: name.trim() }),
    ...(actor.trim() && { actor: actor.trim() }),
  };
  const pages = useAudit(useDeferredValue(filters));
  const entries = itemsOf(pages);
  return (
    <Panel
      title="Audit log"
      actions={
        <Button size="small" onClick={() => pages.refetch()}>
          Read again
        </Button>
      }
    >
      <p className="mb-4 text-sm text-quiet">
        Every change made through the admin API, newest first, by Redis’ clock. Changes of the configuration file are
        not here: their log is the file’s history.
      </p>
      <Filters label="Which ones">
        <Filter label="Kind" value={kind} onChange={setKind} options={KINDS} />
        <Suggested
          id="audit-names"
          label="Name or key id"
          value={name}
          onChange={setName}
          known={[...new Set(entries.map((each) => each.name))]}
        />
        <Suggested
          id="audit-actors"
          label="Made with the key"
          value={actor}
          onChange={setActor}
          known={[...new Set(entries.map((each) => each.actor.api_key))]}
        />
      </Filters>
      {entries.length > 0 && (
        <ol className="flex flex-col" aria-label="Changes">
          {entries.map((entry) => (
            <Entry key={entry.version} entry={entry} />
          ))}
        </ol>
      )}
      <ListState
        pages={pages}
        shown={entries.length}
        what="changes"
        empty={
          Object.keys(filters).length > 0
            ? "No change fits these filters."
            : "Nobody has changed anything through the API yet."
        }
      />
    </Panel>
  );
}

const DID: Record<string, string> = {
  create: "created",
  update: "changed",
  delete: "deleted",
  issue: "issued",
  rotate: "rotated",
  revoke: "revoked",
  import: "imported",
};

const SINGULAR: Record<Kind, string> = {
  policies: "policy",
  tenants: "tenant",
  users: "user",
  keys: "key",
  models: "model",
  tiers: "tier",
};

function Entry({ entry }: { entry: AuditView }) {
  const { actor, action, kind, name, before, after, version, at } = entry;
  const ending = action === "delete" || action === "revoke";
  return (
    <li className="grid gap-x-6 gap-y-2 border-t border-line py-3 md:grid-cols-[minmax(0,20rem)_minmax(0,1fr)]">
      <div className="min-w-0">
        <p className="break-words">
          <Badge className={ending ? "text-denied" : "text-accent"}>{DID[action] ?? action}</Badge> {SINGULAR[kind]}{" "}
          <strong>{name}</strong>
        </p>
        <p className="mt-1 text-sm text-quiet">
          <time dateTime={at}>{moment(at)}</time>
          <br />
          by {actor.user} of {actor.tenant}, key {actor.api_key}
          <br />
          version {version}
        </p>
      </div>
      <Difference label={`What version ${version} changed`} before={before} after={after} without={["name", "id"]} />
    </li>
  );
}
