import type { ReactNode } from "react";
import { Badge } from "@/ui/badge";
import { Table, Td, Th } from "@/ui/table";
import { NameButton } from "../policies/PolicyTable";
import { Problem, Source } from "../Source";
import type { KeyView } from "../types";
import { moment } from "../when";
import { type KeyState, keyState, overlapWords } from "./state";

const LOOK: Record<KeyState, string> = {
  works: "text-allowed",
  revoked: "text-denied",
  expired: "text-quiet",
  "without effect": "text-warning",
};

export function StateBadge({ state }: { state: KeyState }) {
  return <Badge className={LOOK[state]}>{state}</Badge>;
}

/** `tenants`: whose tenant a user is of, as far as it was read. */
export function KeyTable({
  keys,
  tenants,
  onOpen,
}: {
  keys: readonly KeyView[];
  tenants: ReadonlyMap<string, string>;
  onOpen: (key: KeyView) => void;
}) {
  const now = Date.now();
  return (
    <Table label="List of keys">
      <thead>
        <tr>
          <Th>Key id</Th>
          <Th>State</Th>
          <Th className="hidden sm:table-cell">User</Th>
          <Th className="hidden sm:table-cell">Tenant</Th>
          <Th className="hidden sm:table-cell">Role</Th>
          <Th className="hidden md:table-cell">Models</Th>
          <Th className="hidden md:table-cell">Expires</Th>
          <Th className="hidden sm:table-cell">Source</Th>
        </tr>
      </thead>
      <tbody>
        {keys.map((key) => (
          <tr key={key.id} className="hover:bg-raised">
            <Td className="align-top">
              <NameButton name={key.id} onClick={() => onOpen(key)} />
              <p className="text-quiet sm:hidden">
                {key.role} key of {key.user}
                {tenants.has(key.user) && `, tenant ${tenants.get(key.user)}`}
              </p>
              <Problem problem={key.problem} />
            </Td>
            <Td className="align-top">
              <StateBadge state={keyState(key, now)} />
              <span className="mt-1 block max-w-44 text-xs text-quiet">{overlapWords(key, now)}</span>
            </Td>
            <Plain at="sm">{key.user}</Plain>
            <Plain at="sm">{tenants.get(key.user) ?? "–"}</Plain>
            <Plain at="sm">{key.role}</Plain>
            <Plain at="md">{key.models?.join(", ") ?? <span className="text-quiet">every model</span>}</Plain>
            <Plain at="md">{key.expires_at ? moment(key.expires_at) : <span className="text-quiet">never</span>}</Plain>
            <Plain at="sm">
              <Source source={key.source} />
            </Plain>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

function Plain({ at, children }: { at: "sm" | "md"; children: ReactNode }) {
  const look = at === "sm" ? "hidden align-top sm:table-cell" : "hidden align-top md:table-cell";
  return <Td className={look}>{children}</Td>;
}
