import { count, milliseconds } from "@/lib/format";
import { BandBadge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Table, Td, Th } from "@/ui/table";
import { useRights } from "../Gate";
import { Failure } from "../Outcome";
import { useSla } from "../queries";
import { FileNote, Problem, Source } from "../Source";
import type { Sla, TenantView } from "../types";
import { UsageList } from "../UsageList";
import { MetBadge } from "./MetBadge";
import { agreedWords, metOf, rate } from "./sla";
import { useBands } from "./TenantForm";
import { Users } from "./Users";

interface Props {
  tenant: TenantView;
  onEdit: () => void;
  onDelete: () => void;
}

/** One tenant: its band and weight, what it uses, what it got, and its users. */
export function TenantDetails({ tenant, onEdit, onDelete }: Props) {
  const { mayChange } = useRights();
  const bands = useBands();
  return (
    <div className="flex flex-col gap-5">
      <div>
        <p className="flex flex-wrap items-center gap-x-4 gap-y-1">
          <BandBadge bands={bands} band={tenant.qos_tier} />
          <span>weight {tenant.weight}</span>
          <Source source={tenant.source} />
        </p>
        <Problem problem={tenant.problem} />
      </div>
      {tenant.source === "config" && (
        <FileNote what="tenant"> Users, keys and policies for it may be made here all the same.</FileNote>
      )}
      {mayChange && tenant.source === "api" && (
        <div className="flex flex-wrap gap-2">
          <Button kind="primary" onClick={onEdit}>
            Edit
          </Button>
          <Button kind="danger" onClick={onDelete}>
            Delete
          </Button>
        </div>
      )}
      <section aria-label="Usage now">
        <h3 className="mb-2 font-medium">Usage now</h3>
        <UsageList of={{ tenant: tenant.name }} />
      </section>
      <Levels tenant={tenant} />
      <Users tenant={tenant.name} />
    </div>
  );
}

function Levels({ tenant }: { tenant: TenantView }) {
  const sla = useSla();
  return (
    <section aria-label="Service level">
      <h3 className="mb-2 font-medium">Service level</h3>
      {sla.isPending && <p role="status">Reading the service levels…</p>}
      {sla.isError && <Failure error={sla.error} />}
      {sla.data && <Attained sla={sla.data} tenant={tenant} />}
    </section>
  );
}

const SPANS = [
  ["1m", "Last minute"],
  ["1h", "Last hour"],
] as const;

function Attained({ sla, tenant }: { sla: Sla; tenant: TenantView }) {
  const of = sla.tenants.find((each) => each.tenant === tenant.name);
  const agreed = agreedWords(sla.targets, tenant.qos_tier);
  return (
    <>
      <p className="mb-2 text-sm text-quiet">
        {agreed ? `Agreed for ${tenant.qos_tier}: ${agreed}.` : `Nothing is agreed for ${tenant.qos_tier}.`}
        {!of && " It was not served within the last hour."}
      </p>
      {of && (
        <Table label="Service level attained">
          <thead>
            <tr>
              <Th>Within</Th>
              <Th>Agreed and kept</Th>
              <Th className="text-right">Requests</Th>
              <Th className="text-right">Complete</Th>
              <Th className="text-right">First token p95</Th>
              <Th className="text-right">End p95</Th>
            </tr>
          </thead>
          <tbody>
            {SPANS.map(([span, words]) => {
              const got = of.windows[span];
              return (
                <tr key={span} className="tabular-nums">
                  <Td>{words}</Td>
                  <Td>
                    <MetBadge met={metOf(got)} />
                  </Td>
                  <Td className="text-right">{count(got?.requests ?? 0)}</Td>
                  <Td className="text-right">{orDash(got?.success_rate, rate)}</Td>
                  <Td className="text-right">{orDash(got?.ttft_p95_ms, milliseconds)}</Td>
                  <Td className="text-right">{orDash(got?.latency_p95_ms, milliseconds)}</Td>
                </tr>
              );
            })}
          </tbody>
        </Table>
      )}
    </>
  );
}

function orDash(value: number | null | undefined, write: (value: number) => string): string {
  return value === null || value === undefined ? "–" : write(value);
}
