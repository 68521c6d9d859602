import { createContext, type ReactNode, useContext } from "react";
import { ApiError } from "@/api/errors";
import { useSession } from "@/app/session";
import { Button } from "@/ui/button";
import { Panel } from "@/ui/panel";
import { Failure } from "./Outcome";
import { useAdminApi, useOwnKey } from "./queries";

interface Rights {
  /** Whether the key in use may change things; an operator's may only read, and revoke keys. */
  mayChange: boolean;
}

const RightsContext = createContext<Rights>({ mayChange: false });

export function useRights(): Rights {
  return useContext(RightsContext);
}

/** Shows a page of the admin API to those who may see it, and says to the others why not. */
export function Gate({ title, children }: { title: string; children: ReactNode }) {
  const own = useOwnKey();
  const { who } = useAdminApi();
  if (own.isPending) return <p role="status">Asking the server what this key may do…</p>;
  if (own.isError) return <Refused title={title} error={own.error} />;
  return (
    <RightsContext value={{ mayChange: own.data.role === "admin" }} key={who}>
      {own.data.role === "operator" && (
        <p role="note" className="mb-4 rounded-md border border-line bg-panel px-4 py-2 text-sm">
          <strong>{who}</strong> is an operator’s key: it sees everything here and may revoke keys. Other changes need a
          key with the role admin.
        </p>
      )}
      {children}
    </RightsContext>
  );
}

function Refused({ title, error }: { title: string; error: Error }) {
  const signOut = useSession((session) => session.signOut);
  const wrongRole = error instanceof ApiError && error.status === 403;
  return (
    <Panel title={title} className="mx-auto max-w-xl">
      {wrongRole && (
        <p className="mb-3">
          Policies, tenants, keys and the audit log are for keys with the role admin or operator. The live screen and
          the chat work with this one.
        </p>
      )}
      <Failure error={error} />
      <Button onClick={signOut}>Use another key</Button>
    </Panel>
  );
}
