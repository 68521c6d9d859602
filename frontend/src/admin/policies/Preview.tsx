import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { ApiError } from "@/api/errors";
import { count } from "@/lib/format";
import { Table, Td, Th } from "@/ui/table";
import { Failure } from "../Outcome";
import { answered, useAdminApi } from "../queries";
import type { DryRun, Policy, Scope } from "../types";
import { moment } from "../when";
import { percent, previewWords } from "./preview";
import { subjectWords } from "./words";

const SETTLED_MS = 400;

/** What the proposed policy would have denied, from the logs; asked for as soon as nobody has typed for a moment. */
export function Preview({ policy, from }: { policy: Policy | null; from?: string | undefined }) {
  const text = useSettled(policy ? JSON.stringify(policy) : "");
  const { api, who } = useAdminApi();
  const run = useQuery({
    queryKey: ["admin", who, "dry-run", text, from],
    queryFn: ({ signal }) => {
      const proposed = JSON.parse(text) as Policy;
      // Without a name yet it is judged by whatever log fits.
      const named = { ...proposed, name: proposed.name || "proposed" };
      const body = { policy: named, from: from ?? null, subject: null };
      return answered(api.POST("/admin/dry-run", { body, signal }));
    },
    enabled: text !== "",
    staleTime: 0,
  });
  return (
    <section aria-label="Preview" aria-busy={run.isFetching} className="rounded-md border border-line bg-raised p-3">
      <h3 className="mb-1 font-medium">What this would have denied</h3>
      {text === "" ? (
        <p className="text-sm text-quiet">It is told here as soon as the fields above are filled in.</p>
      ) : run.isError ? (
        <Unanswered error={run.error} />
      ) : run.data ? (
        <Outcome run={run.data} scope={(JSON.parse(text) as Policy).scope} />
      ) : (
        <p role="status" className="text-sm">
          Replaying the logs…
        </p>
      )}
    </section>
  );
}

function Unanswered({ error }: { error: Error }) {
  if (error instanceof ApiError && error.body.code === "no_history") {
    return (
      <p role="status" className="text-sm">
        No log can tell. {error.message}
      </p>
    );
  }
  return <Failure error={error} />;
}

function Outcome({ run, scope }: { run: DryRun; scope: Scope }) {
  return (
    <>
      <p role="status" className="text-sm">
        {previewWords(run)}
      </p>
      {run.worst.length > 0 && (
        <Table label="Denied most" className="mt-2">
          <thead>
            <tr>
              <Th>Subject</Th>
              <Th className="text-right">Requests</Th>
              <Th className="text-right">Denied</Th>
              <Th>First denied</Th>
            </tr>
          </thead>
          <tbody>
            {run.worst.slice(0, 5).map((each) => (
              <tr key={each.subject}>
                <Td>{subjectWords(scope, each.subject)}</Td>
                <Td className="text-right tabular-nums">{count(each.requests)}</Td>
                <Td className="text-right whitespace-nowrap text-denied tabular-nums">
                  {count(each.denied)} ({percent(each.denied, each.requests)})
                </Td>
                <Td className="whitespace-nowrap">{each.first_denied_at ? moment(each.first_denied_at) : "–"}</Td>
              </tr>
            ))}
          </tbody>
        </Table>
      )}
      {run.notes.length > 0 && (
        <details className="mt-2 text-sm">
          <summary className="cursor-pointer font-medium">What the logs cannot tell</summary>
          <ul className="mt-1 list-disc pl-5 text-quiet">
            {run.notes.map((note) => (
              <li key={note}>{note}</li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

/** The text as it was when it had not changed for a moment. */
function useSettled(text: string): string {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), SETTLED_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}
