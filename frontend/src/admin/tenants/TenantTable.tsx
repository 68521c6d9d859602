import { BandBadge } from "@/ui/badge";
import { Table, Td, Th } from "@/ui/table";
import { Fullest, NameButton } from "../policies/PolicyTable";
import { subjectWords } from "../policies/words";
import { Problem, Source } from "../Source";
import type { TenantSla, TenantView, UsageWindow } from "../types";
import { MetBadge } from "./MetBadge";
import { attainedWords, metOf } from "./sla";
import { useBands } from "./TenantForm";

interface Props {
  tenants: readonly TenantView[];
  /** Each tenant's fullest window now. */
  fullest: ReadonlyMap<string, UsageWindow>;
  sla: readonly TenantSla[];
  onOpen: (tenant: TenantView) => void;
}

export function TenantTable({ tenants, fullest, sla, onOpen }: Props) {
  const bands = useBands();
  return (
    <Table label="List of tenants">
      <thead>
        <tr>
          <Th>Tenant</Th>
          <Th className="hidden sm:table-cell">Band</Th>
          <Th className="hidden text-right sm:table-cell">Weight</Th>
          <Th>Fullest now</Th>
          <Th className="hidden sm:table-cell">Service level, last hour</Th>
          <Th className="hidden sm:table-cell">Source</Th>
        </tr>
      </thead>
      <tbody>
        {tenants.map((tenant) => {
          const window = fullest.get(tenant.name);
          const hour = sla.find((each) => each.tenant === tenant.name)?.windows["1h"];
          return (
            <tr key={tenant.name} className="hover:bg-raised">
              <Td className="align-top">
                <NameButton name={tenant.name} onClick={() => onOpen(tenant)} />
                <p className="mt-1 flex flex-wrap items-center gap-2 sm:hidden">
                  <BandBadge bands={bands} band={tenant.qos_tier} />
                  <MetBadge met={metOf(hour)} />
                </p>
                <Problem problem={tenant.problem} />
              </Td>
              <Td className="hidden align-top sm:table-cell">
                <BandBadge bands={bands} band={tenant.qos_tier} />
              </Td>
              <Td className="hidden text-right align-top tabular-nums sm:table-cell">{tenant.weight}</Td>
              <Td className="align-top">
                {window ? (
                  <Fullest window={window} below={ofPolicy(window, tenant.name)} />
                ) : (
                  <span className="text-quiet">empty</span>
                )}
              </Td>
              <Td className="hidden align-top sm:table-cell">
                <MetBadge met={metOf(hour)} />
                <span className="block text-xs text-quiet">{attainedWords(hour)}</span>
              </Td>
              <Td className="hidden align-top sm:table-cell">
                <Source source={tenant.source} />
              </Td>
            </tr>
          );
        })}
      </tbody>
    </Table>
  );
}

/** Which policy's window it is, and which of the tenant's where it has several. */
function ofPolicy({ policy, subject, scope }: UsageWindow, tenant: string): string {
  return subject === tenant ? policy : `${policy}: ${subjectWords(scope, subject)}`;
}
