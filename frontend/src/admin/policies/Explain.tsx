import { useState } from "react";
import { Badge } from "@/ui/badge";
import { Panel } from "@/ui/panel";
import { Switch } from "@/ui/switch";
import { Table, Td, Th } from "@/ui/table";
import { Suggested } from "../Filter";
import { Failure } from "../Outcome";
import { itemsOf, useExplained, useKeys, useModels } from "../queries";
import type { Explained } from "../types";
import { limitWords, subjectWords } from "./words";

/** Which policies apply to a key and a model, and why the others do not. */
export function Explain() {
  const keys = itemsOf(useKeys()).map((each) => each.id);
  const models = itemsOf(useModels()).map((each) => each.name);
  const [key, setKey] = useState("");
  const [model, setModel] = useState("");
  const [all, setAll] = useState(false);
  const known = (value: string, list: string[]) => (list.includes(value) || value.length > 2 ? value : "");
  const explained = useExplained(known(key, keys), known(model, models));
  return (
    <Panel title="Which policies apply?">
      <div className="mb-4 grid items-end gap-3 sm:grid-cols-[1fr_1fr_auto]">
        <Suggested id="explain-keys" label="Id of a key" value={key} onChange={setKey} known={keys} />
        <Suggested id="explain-models" label="Model" value={model} onChange={setModel} known={models} />
        <Switch label="Those that do not apply as well" checked={all} onChange={setAll} />
      </div>
      {explained.isError && <Failure error={explained.error} />}
      {explained.isFetching && !explained.data && <p role="status">Asking…</p>}
      {!explained.isEnabled && <p className="text-quiet">Choose a key and a model.</p>}
      {explained.data && (
        <>
          <p className="mb-2">
            {explained.data.api_key} is a key of {explained.data.user}, tenant {explained.data.tenant}, band{" "}
            {explained.data.qos_tier}. For {explained.data.model}:
          </p>
          <Result items={explained.data.items.filter((each) => all || each.applies)} all={all} />
        </>
      )}
    </Panel>
  );
}

function Result({ items, all }: { items: readonly Explained[]; all: boolean }) {
  if (items.length === 0) return <p>No policy applies: nothing limits these requests.</p>;
  return (
    <Table label="Policies for this key and model">
      <thead>
        <tr>
          <Th>Policy</Th>
          {all && <Th>Applies</Th>}
          <Th>Limit</Th>
          <Th>Counts in the window of</Th>
        </tr>
      </thead>
      <tbody>
        {items.map(({ policy, applies, reason, subject }) => (
          <tr key={policy.name} className={applies ? "" : "text-quiet"}>
            <Td>
              <span className="font-medium">{policy.name}</span>
              <span className="block text-quiet">{reason}</span>
            </Td>
            {all && (
              <Td>
                <Badge className={applies ? "text-allowed" : "text-quiet"}>{applies ? "yes" : "no"}</Badge>
              </Td>
            )}
            <Td>{limitWords(policy)}</Td>
            <Td>{applies ? subjectWords(policy.scope, subject) : "–"}</Td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}
