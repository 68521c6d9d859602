import { type FormEvent, type ReactNode, type RefObject, useEffect, useMemo, useState } from "react";
import { Button } from "@/ui/button";
import { Difference } from "../audit/Difference";
import { Warning } from "../Outcome";
import { isConflict, NO_PROBLEMS, type Problems, problemsOf } from "../problems";
import { answered, ifMatch, useAdminApi, useChange } from "../queries";
import { type AnyPolicy, DIMENSIONS, type Policy, type PolicyView } from "../types";
import { type Draft, draftOf, matchOf, POLICY_FIELDS, type Reading, readDraft } from "./draft";
import { namesSubject, overrideName, plain, replacedBy } from "./override";
import { type FieldsOf, PolicyForm } from "./PolicyForm";
import { Preview } from "./Preview";
import { rebase } from "./rebase";
import { SCOPE_DIMENSIONS, sentence } from "./words";

const EDITED = POLICY_FIELDS.filter(
  (field) => !["name", "scope", "unit", "per"].includes(field) && !field.startsWith("match."),
);

interface EditProps {
  policy: PolicyView;
  first: RefObject<HTMLInputElement | null>;
  onSaved: (name: string) => void;
  onCancel: () => void;
}

/** Changes a policy of the API, on the condition that nobody else has since it was read. */
export function EditPolicy({ policy, first, onSaved, onCancel }: EditProps) {
  const [base, setBase] = useState(policy);
  const [meanwhile, setMeanwhile] = useState<PolicyView | null>(null);
  const [draft, setDraft] = useState(() => draftOf(policy));
  const { api } = useAdminApi();
  const save = useChange((to, changed: Policy) =>
    answered(
      to.PUT("/admin/policies/{name}", {
        params: { path: { name: base.name }, header: ifMatch(base.version) },
        body: changed,
      }),
    ),
  );
  const readAgain = async () => {
    const now = await answered(api.GET("/admin/policies/{name}", { params: { path: { name: base.name } } }));
    setDraft(rebase(draft, draftOf(base), draftOf(now)));
    setMeanwhile(base);
    setBase(now);
    save.reset();
    first.current?.focus();
  };
  const conflict = isConflict(save.error) ? save.error : null;
  return (
    <Editor
      draft={draft}
      onDraft={setDraft}
      fields="change"
      first={first}
      refused={save.error && !conflict ? problemsOf(save.error, EDITED) : NO_PROBLEMS}
      busy={save.isPending}
      does="Save"
      onSave={(changed) => save.mutate(changed, { onSuccess: () => onSaved(changed.name) })}
      onCancel={onCancel}
      said={
        <>
          {conflict && (
            <Warning
              words={["Somebody else has changed this policy since you read it. Nothing was saved.", conflict.message]}
            >
              <Button size="small" onClick={readAgain}>
                Read again
              </Button>
            </Warning>
          )}
          {meanwhile && !conflict && (
            <div role="status" className="mb-4 rounded-md border border-line-strong p-3 text-sm">
              <p className="mb-2">
                This was changed meanwhile. What you typed is kept; the rest is as it is now. Save puts yours over it.
              </p>
              <Difference label="Changed meanwhile" before={plain(meanwhile)} after={plain(base)} />
            </div>
          )}
        </>
      }
    />
  );
}

interface CreateProps {
  start: Draft;
  /** The policy that this one is to override for one subject; its logs tell what this one would have denied. */
  over?: PolicyView | undefined;
  known: readonly AnyPolicy[];
  first: RefObject<HTMLInputElement | null>;
  onSaved: (name: string) => void;
  onCancel: () => void;
}

/** Creates a policy; never in place of one that is there already. */
export function CreatePolicy({ start, over, known, first, onSaved, onCancel }: CreateProps) {
  const [draft, setDraft] = useState(start);
  const take = (next: Draft) => {
    // The name goes with whom it is for, until somebody gives it another.
    const goes =
      over !== undefined && next.name === draft.name && draft.name === overrideName(over, matchOf(draft.match));
    setDraft(goes ? { ...next, name: overrideName(over, matchOf(next.match)) } : next);
  };
  const save = useChange((to, made: Policy) => answered(to.POST("/admin/policies", { body: made })));
  return (
    <Editor
      draft={draft}
      onDraft={take}
      fields={over ? "override" : "whole"}
      from={over?.name}
      known={known}
      first={first}
      refused={save.error ? problemsOf(save.error, over ? overrideFields(over) : POLICY_FIELDS) : NO_PROBLEMS}
      busy={save.isPending}
      does="Create"
      onSave={(made) => save.mutate(made, { onSuccess: () => onSaved(made.name) })}
      onCancel={onCancel}
    />
  );
}

/** What the form of an override shows. */
function overrideFields(over: PolicyView): string[] {
  const named = SCOPE_DIMENSIONS[over.scope].map((dimension) => `match.${dimension}`);
  return [...EDITED, "name", ...named];
}

interface EditorProps {
  draft: Draft;
  onDraft: (draft: Draft) => void;
  fields: FieldsOf;
  from?: string | undefined;
  known?: readonly AnyPolicy[];
  first: RefObject<HTMLInputElement | null>;
  refused: Problems;
  busy: boolean;
  does: string;
  onSave: (policy: Policy) => void;
  onCancel: () => void;
  said?: ReactNode;
}

function Editor({
  draft,
  onDraft,
  fields,
  from,
  known = [],
  first,
  refused,
  busy,
  does,
  onSave,
  onCancel,
  said,
}: EditorProps) {
  const { policy, problems } = useMemo(() => readFor(fields, draft), [fields, draft]);
  const [tried, setTried] = useState(false);
  useEffect(() => first.current?.focus(), [first]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (policy && !busy) onSave(policy);
  };
  const shown = { ...refused.fields, ...(tried ? problems : typed(problems, draft)) };
  return (
    <form onSubmit={submit} noValidate className="flex flex-col gap-4">
      {said}
      <PolicyForm
        draft={draft}
        onChange={(changes) => onDraft({ ...draft, ...changes })}
        problems={shown}
        fields={fields}
        first={first}
      />
      {policy && <InWords policy={policy} known={known} />}
      <Preview policy={policy} from={from} />
      <Warning words={refused.general} />
      <div className="flex flex-wrap justify-end gap-2">
        <Button onClick={onCancel}>Cancel</Button>
        <Button type="submit" kind="primary" disabled={busy} focusableWhenDisabled>
          {busy ? "Saving…" : does}
        </Button>
      </div>
    </form>
  );
}

/** An override must say whose it is: without that it would be one more limit for all. */
function readFor(fields: FieldsOf, draft: Draft): Reading {
  const read = readDraft(draft);
  const [first] = SCOPE_DIMENSIONS[draft.scope];
  if (
    fields !== "override" ||
    first === undefined ||
    namesSubject({ scope: draft.scope, match: matchOf(draft.match) })
  ) {
    return read;
  }
  return { policy: null, problems: { ...read.problems, [`match.${first}`]: "Say whose limit it is." } };
}

/** What is wrong with what was typed; an empty field is not wrong yet. */
function typed(problems: Record<string, string>, draft: Draft): Record<string, string> {
  const { limit, window, match } = draft;
  const conditions = DIMENSIONS.map((dimension) => [`match.${dimension}`, match[dimension]]);
  const texts: Record<string, string> = { limit, window, ...Object.fromEntries(conditions) };
  const empty = Object.entries(texts).filter(([, text]) => text.trim() === "");
  const skipped = new Set(empty.map(([field]) => field));
  return Object.fromEntries(Object.entries(problems).filter(([field]) => !skipped.has(field)));
}

function InWords({ policy, known }: { policy: Policy; known: readonly AnyPolicy[] }) {
  const replaced = replacedBy(policy, known).map((each) => each.name);
  return (
    <div className="text-sm">
      <p>{sentence(policy)}</p>
      {replaced.length > 0 && (
        <p className="mt-1 text-quiet">
          Because it names its subject, it replaces for that subject: <strong>{replaced.join(", ")}</strong>.
        </p>
      )}
    </div>
  );
}
