import { Plus } from "lucide-react";
import { useRef, useState } from "react";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { Dialog } from "@/ui/dialog";
import { Panel } from "@/ui/panel";
import { toast } from "@/ui/toast";
import { Filter, Filters, Suggested } from "./Filter";
import { Gate, useRights } from "./Gate";
import { type Issued, useIssueKey } from "./keys/issuing";
import { KeyDetails } from "./keys/KeyDetails";
import { KeyForm } from "./keys/KeyForm";
import { KeyTable } from "./keys/KeyTable";
import { SecretDialog } from "./keys/SecretDialog";
import { Failure, ListState } from "./Outcome";
import {
  type Filters as Asked,
  answered,
  ifMatch,
  itemsOf,
  useChange,
  useKeys,
  useModels,
  useTenants,
  useUsers,
} from "./queries";
import { type KeySettings, type KeyView, ROLES, type Role } from "./types";

export function KeysPage() {
  return (
    <Gate title="Keys">
      <Keys />
    </Gate>
  );
}

type Open = { is: "details" | "edit"; of: KeyView } | { is: "issue" };
type Ending = { is: "revoke" | "delete"; of: KeyView };

function Keys() {
  const { mayChange } = useRights();
  const [tenant, setTenant] = useState("");
  const [user, setUser] = useState("");
  const [role, setRole] = useState<Role | null>(null);
  const [revoked, setRevoked] = useState<"yes" | "no" | null>(null);
  const [open, setOpen] = useState<Open | null>(null);
  const [ending, setEnding] = useState<Ending | null>(null);
  const [issued, setIssued] = useState<Issued | null>(null);
  const filters: Asked<"listKeys"> = {
    ...(tenant.trim() && { tenant: tenant.trim() }),
    ...(user.trim() && { user: user.trim() }),
    ...(role && { role }),
    ...(revoked && { revoked: revoked === "yes" }),
  };
  const pages = useKeys(filters);
  const keys = itemsOf(pages);
  const users = itemsOf(useUsers());
  const tenantOf = new Map(users.map((each) => [each.name, each.tenant]));
  const tenants = itemsOf(useTenants()).map((each) => each.name);
  const show = (made: Issued) => {
    setOpen(null);
    setIssued(made);
  };
  return (
    <Panel
      title="Keys"
      actions={
        mayChange && (
          <Button size="small" kind="primary" onClick={() => setOpen({ is: "issue" })}>
            <Plus aria-hidden className="size-4" />
            Issue a key
          </Button>
        )
      }
    >
      <Filters label="Which ones">
        <Suggested id="keys-tenants" label="Tenant" value={tenant} onChange={setTenant} known={tenants} />
        <Suggested
          id="keys-users"
          label="User"
          value={user}
          onChange={setUser}
          known={users.map((each) => each.name)}
        />
        <Filter label="Role" value={role} onChange={setRole} options={ROLES} />
        <Filter label="Revoked" value={revoked} onChange={setRevoked} options={["yes", "no"] as const} />
      </Filters>
      {keys.length > 0 && <KeyTable keys={keys} tenants={tenantOf} onOpen={(of) => setOpen({ is: "details", of })} />}
      <ListState pages={pages} shown={keys.length} what="keys" empty="No key fits these filters." />
      <KeyDialog open={open} onOpen={setOpen} onEnd={setEnding} onIssued={show} keys={keys} tenantOf={tenantOf} />
      {ending && <EndKey {...ending} onDone={() => setEnding(null)} />}
      <SecretDialog issued={issued} onStored={() => setIssued(null)} />
    </Panel>
  );
}

interface DialogProps {
  open: Open | null;
  onOpen: (open: Open | null) => void;
  onEnd: (ending: Ending) => void;
  onIssued: (issued: Issued) => void;
  keys: readonly KeyView[];
  tenantOf: ReadonlyMap<string, string>;
}

function KeyDialog({ open, onOpen, onEnd, onIssued, keys, tenantOf }: DialogProps) {
  const first = useRef<HTMLInputElement>(null);
  const models = itemsOf(useModels()).map((each) => each.name);
  const issue = useIssueKey(onIssued);
  const opened = open === null || open.is === "issue" ? null : open.of;
  const of = keys.find((each) => each.id === opened?.id) ?? opened;
  const close = () => {
    issue.reset();
    onOpen(null);
  };
  const end = (is: Ending["is"]) => {
    close();
    if (of) onEnd({ is, of });
  };
  const names = { users: [...tenantOf.keys()], models, first, onCancel: close };
  return (
    <Dialog
      open={open !== null}
      onOpenChange={(next) => !next && close()}
      title={open?.is === "issue" ? "Issue a key" : (of?.id ?? "")}
      {...(open !== null && open.is !== "details" && { initialFocus: first })}
    >
      {open?.is === "issue" && (
        <KeyForm
          {...names}
          error={issue.error}
          busy={issue.isPending}
          does="Issue"
          onSave={(settings) => issue.mutate({ ...settings, id: null })}
        />
      )}
      {open?.is === "details" && of && (
        <KeyDetails
          of={of}
          tenant={tenantOf.get(of.user)}
          onEdit={() => onOpen({ is: "edit", of })}
          onRevoke={() => end("revoke")}
          onDelete={() => end("delete")}
          onIssued={onIssued}
        />
      )}
      {open?.is === "edit" && <EditKey {...names} of={open.of} />}
    </Dialog>
  );
}

interface EditProps {
  of: KeyView;
  users: readonly string[];
  models: readonly string[];
  first: React.RefObject<HTMLInputElement | null>;
  onCancel: () => void;
}

function EditKey({ of, onCancel, ...names }: EditProps) {
  const save = useChange((api, body: KeySettings) =>
    answered(api.PUT("/admin/keys/{id}", { params: { path: { id: of.id }, header: ifMatch(of.version) }, body })),
  );
  const done = () => {
    onCancel();
    toast("Saved", `${of.id} may do this from its next request on.`);
  };
  return (
    <KeyForm
      {...names}
      start={of}
      error={save.error}
      busy={save.isPending}
      does="Save"
      onSave={(settings) => save.mutate(settings, { onSuccess: done })}
      onCancel={onCancel}
    />
  );
}

function EndKey({ is, of, onDone }: Ending & { onDone: () => void }) {
  const end = useChange(async (api, { id, version }: KeyView) => {
    const path = { id };
    // Whatever was changed meanwhile, a key that is to be revoked is to be revoked.
    if (is === "revoke") await api.POST("/admin/keys/{id}/revoke", { params: { path } });
    else await api.DELETE("/admin/keys/{id}", { params: { path, header: ifMatch(version) } });
  });
  const revoking = is === "revoke";
  const done = () => {
    onDone();
    toast(revoking ? "Revoked" : "Deleted", `${of.id} is refused everywhere within a second.`);
  };
  return (
    <Confirm
      open
      title={revoking ? `Revoke ${of.id}?` : `Delete ${of.id}?`}
      does={revoking ? "Revoke" : "Delete"}
      busy={end.isPending}
      failure={end.error && <Failure error={end.error} />}
      onCancel={onDone}
      onConfirm={() => end.mutate(of, { onSuccess: done })}
    >
      {revoking
        ? `It is the key of ${of.user}. It is refused everywhere within a second, and nothing makes it work again.`
        : `It is the key of ${of.user}. It is refused everywhere within a second and leaves the list; the audit log remembers it.`}
    </Confirm>
  );
}
