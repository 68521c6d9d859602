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
import { subjectParts } from "./policies/words";
import { type Filters as Asked, ifMatch, itemsOf, useChange, useSla, useTenants, useUsage } from "./queries";
import { TenantDetails } from "./tenants/TenantDetails";
import { TenantForm, useBands } from "./tenants/TenantForm";
import { TenantTable } from "./tenants/TenantTable";
import type { Scope, TenantView, UsageWindow } from "./types";
import { fullest } from "./UsageList";

export function TenantsPage() {
  return (
    <Gate title="Tenants">
      <Tenants />
    </Gate>
  );
}

type Open = { is: "details" | "edit"; tenant: TenantView } | { is: "create" };

function Tenants() {
  const { mayChange } = useRights();
  const bands = useBands();
  const [search, setSearch] = useState("");
  const [band, setBand] = useState<string | null>(null);
  const [open, setOpen] = useState<Open | null>(null);
  const [doomed, setDoomed] = useState<TenantView | null>(null);
  const filters: Asked<"listTenants"> = band === null ? {} : { qos_tier: band as "internal" };
  const pages = useTenants(filters);
  const usage = useUsage();
  const sla = useSla();
  const all = itemsOf(pages);
  const shown = all.filter((each) => each.name.toLowerCase().includes(search.trim().toLowerCase()));
  return (
    <Panel
      title="Tenants"
      actions={
        mayChange && (
          <Button size="small" kind="primary" onClick={() => setOpen({ is: "create" })}>
            <Plus aria-hidden className="size-4" />
            New tenant
          </Button>
        )
      }
    >
      <Filters label="Which ones">
        <SearchField label="Search" value={search} onChange={setSearch} />
        <Filter label="Band" value={band} onChange={setBand} options={bands} />
      </Filters>
      {shown.length > 0 && (
        <TenantTable
          tenants={shown}
          fullest={byTenant(usage.data?.windows ?? [])}
          sla={sla.data?.tenants ?? []}
          onOpen={(tenant) => setOpen({ is: "details", tenant })}
        />
      )}
      <ListState pages={pages} shown={shown.length} what="tenants" empty="No tenant fits these filters." />
      <TenantDialog open={open} onOpen={setOpen} onDelete={setDoomed} all={all} />
      {doomed && <DeleteTenant tenant={doomed} onDone={() => setDoomed(null)} />}
    </Panel>
  );
}

/** Each tenant's fullest window, as far as a window's subject names the tenant. */
function byTenant(windows: readonly UsageWindow[]): Map<string, UsageWindow> {
  const found = new Map<string, UsageWindow>();
  for (const window of fullest(windows)) {
    const parts = subjectParts(window.scope as Scope, window.subject);
    const tenant = parts.find(([dimension]) => dimension === "tenant")?.[1];
    if (tenant !== undefined && !found.has(tenant)) found.set(tenant, window);
  }
  return found;
}

interface DialogProps {
  open: Open | null;
  onOpen: (open: Open | null) => void;
  onDelete: (tenant: TenantView) => void;
  all: readonly TenantView[];
}

function TenantDialog({ open, onOpen, onDelete, all }: DialogProps) {
  const first = useRef<HTMLInputElement>(null);
  const close = () => onOpen(null);
  const saved = (name: string) => {
    close();
    toast("Saved", `${name} counts from the next request on.`);
  };
  const opened = open === null || open.is === "create" ? null : open.tenant;
  const tenant = all.find((each) => each.name === opened?.name) ?? opened;
  return (
    <Dialog
      open={open !== null}
      onOpenChange={(next) => !next && close()}
      title={open?.is === "create" ? "New tenant" : (tenant?.name ?? "")}
      className="w-[min(46rem,calc(100vw-1.5rem))]"
      {...(open !== null && open.is !== "details" && { initialFocus: first })}
    >
      {open?.is === "create" && <TenantForm first={first} onSaved={saved} onCancel={close} />}
      {open?.is === "edit" && <TenantForm start={open.tenant} first={first} onSaved={saved} onCancel={close} />}
      {open?.is === "details" && tenant && (
        <TenantDetails
          tenant={tenant}
          onEdit={() => onOpen({ is: "edit", tenant })}
          onDelete={() => {
            close();
            onDelete(tenant);
          }}
        />
      )}
    </Dialog>
  );
}

function DeleteTenant({ tenant, onDone }: { tenant: TenantView; onDone: () => void }) {
  const remove = useChange(async (api, { name, version }: TenantView) => {
    await api.DELETE("/admin/tenants/{name}", { params: { path: { name }, header: ifMatch(version) } });
  });
  const done = () => {
    onDone();
    toast("Deleted", `Tenant ${tenant.name}.`);
  };
  return (
    <Confirm
      open
      title={`Delete ${tenant.name}?`}
      does="Delete"
      busy={remove.isPending}
      failure={remove.error && <Failure error={remove.error} />}
      onCancel={onDone}
      onConfirm={() => remove.mutate(tenant, { onSuccess: done })}
    >
      A tenant goes only when no user and no policy names it any more: the server says who still does.
    </Confirm>
  );
}
