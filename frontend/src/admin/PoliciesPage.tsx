import { Plus } from "lucide-react";
import { useRef, useState } from "react";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { Dialog } from "@/ui/dialog";
import { Panel } from "@/ui/panel";
import { toast } from "@/ui/toast";
import { Filter, Filters, SearchField } from "./Filter";
import { Gate, useRights } from "./Gate";
import { Failure, ListState } from "./Outcome";
import { type Draft, draftOf, NEW_POLICY } from "./policies/draft";
import { Explain } from "./policies/Explain";
import { overrideOf } from "./policies/override";
import { PolicyDetails } from "./policies/PolicyDetails";
import { CreatePolicy, EditPolicy } from "./policies/PolicyEditor";
import { PolicyTable } from "./policies/PolicyTable";
import { sentence, unitWords } from "./policies/words";
import { type Filters as Asked, ifMatch, itemsOf, useChange, usePolicies, useUsage } from "./queries";
import { MODES, type PolicyView, SCOPES, UNITS, type UsageWindow } from "./types";
import { fullest } from "./UsageList";

export function PoliciesPage() {
  return (
    <Gate title="Policies">
      <div className="flex flex-col gap-4">
        <Policies />
        <Explain />
      </div>
    </Gate>
  );
}

type Open = { is: "details" | "edit"; policy: PolicyView } | { is: "create"; start: Draft; over?: PolicyView };

function Policies() {
  const { mayChange } = useRights();
  const [filters, setFilters] = useState<Asked<"listPolicies">>({});
  const [search, setSearch] = useState("");
  const [open, setOpen] = useState<Open | null>(null);
  const [doomed, setDoomed] = useState<PolicyView | null>(null);
  const pages = usePolicies(filters);
  const usage = useUsage();
  const all = itemsOf(pages);
  const shown = all.filter((policy) => fits(policy, search));
  return (
    <Panel
      title="Policies"
      actions={
        mayChange && (
          <Button size="small" kind="primary" onClick={() => setOpen({ is: "create", start: NEW_POLICY })}>
            <Plus aria-hidden className="size-4" />
            New policy
          </Button>
        )
      }
    >
      <Filters label="Which ones">
        <SearchField label="Search" value={search} onChange={setSearch} />
        <Filter
          label="Scope"
          value={filters.scope ?? null}
          onChange={(scope) => setFilters(changed(filters, { scope }))}
          options={SCOPES}
        />
        <Filter
          label="Unit"
          value={filters.unit ?? null}
          onChange={(unit) => setFilters(changed(filters, { unit }))}
          options={UNITS}
          words={unitWords}
        />
        <Filter
          label="Mode"
          value={filters.mode ?? null}
          onChange={(mode) => setFilters(changed(filters, { mode }))}
          options={MODES}
        />
        <Filter
          label="Source"
          value={filters.source ?? null}
          onChange={(source) => setFilters(changed(filters, { source }))}
          options={["config", "api"] as const}
          words={(source) => (source === "api" ? "API" : "file")}
        />
      </Filters>
      {shown.length > 0 && (
        <PolicyTable
          policies={shown}
          fullest={byPolicy(usage.data?.windows ?? [])}
          onOpen={(policy) => setOpen({ is: "details", policy })}
        />
      )}
      <ListState pages={pages} shown={shown.length} what="policies" empty="No policy fits these filters." />
      <PolicyDialog open={open} onOpen={setOpen} onDelete={setDoomed} all={all} />
      {doomed && <DeletePolicy policy={doomed} onDone={() => setDoomed(null)} />}
    </Panel>
  );
}

/** Filters with some of them changed; null takes one away. */
function changed(
  filters: Asked<"listPolicies">,
  changes: { [Name in keyof Asked<"listPolicies">]?: Asked<"listPolicies">[Name] | null },
): Asked<"listPolicies"> {
  const next = Object.entries({ ...filters, ...changes }).filter(([, value]) => value !== null);
  return Object.fromEntries(next);
}

function fits(policy: PolicyView, search: string): boolean {
  const text = `${policy.name} ${sentence(policy)} ${policy.scope} ${policy.mode}`.toLowerCase();
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

function byPolicy(windows: readonly UsageWindow[]): Map<string, UsageWindow> {
  // The fullest comes last, so that it is the one that stays.
  return new Map(
    fullest(windows)
      .reverse()
      .map((window) => [window.policy, window]),
  );
}

interface DialogProps {
  open: Open | null;
  onOpen: (open: Open | null) => void;
  onDelete: (policy: PolicyView) => void;
  all: readonly PolicyView[];
}

function PolicyDialog({ open, onOpen, onDelete, all }: DialogProps) {
  const first = useRef<HTMLInputElement>(null);
  const close = () => onOpen(null);
  const saved = (name: string) => {
    close();
    toast("Saved", `${name} counts from the next request on.`);
  };
  const writing = open !== null && open.is !== "details";
  const opened = open === null || open.is === "create" ? null : open.policy;
  const policy = all.find((each) => each.name === opened?.name) ?? opened;
  return (
    <Dialog
      open={open !== null}
      onOpenChange={(next) => !next && close()}
      title={titleOf(open)}
      className="w-[min(46rem,calc(100vw-1.5rem))]"
      {...(writing && { initialFocus: first })}
    >
      {open?.is === "details" && policy && (
        <PolicyDetails
          policy={policy}
          onEdit={() => onOpen({ is: "edit", policy })}
          onDelete={() => {
            close();
            onDelete(policy);
          }}
          onOverride={(subject) => onOpen({ is: "create", start: draftOf(overrideOf(policy, subject)), over: policy })}
        />
      )}
      {open?.is === "edit" && <EditPolicy policy={open.policy} first={first} onSaved={saved} onCancel={close} />}
      {open?.is === "create" && (
        <CreatePolicy start={open.start} over={open.over} known={all} first={first} onSaved={saved} onCancel={close} />
      )}
    </Dialog>
  );
}

function titleOf(open: Open | null): string {
  if (open === null) return "";
  if (open.is === "create") return open.over ? `Override ${open.over.name}` : "New policy";
  return open.is === "edit" ? `Edit ${open.policy.name}` : open.policy.name;
}

function DeletePolicy({ policy, onDone }: { policy: PolicyView; onDone: () => void }) {
  const remove = useChange(async (api, { name, version }: PolicyView) => {
    await api.DELETE("/admin/policies/{name}", { params: { path: { name }, header: ifMatch(version) } });
  });
  return (
    <Confirm
      open
      title={`Delete ${policy.name}?`}
      does="Delete"
      busy={remove.isPending}
      failure={remove.error && <Failure error={remove.error} />}
      onCancel={onDone}
      onConfirm={() =>
        remove.mutate(policy, {
          onSuccess: () => {
            onDone();
            toast("Deleted", `${policy.name} limits nobody any more.`);
          },
        })
      }
    >
      {sentence(policy)} From the next request on this limit is gone, and what it replaced counts again.
    </Confirm>
  );
}
