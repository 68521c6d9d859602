import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { useRights } from "../Gate";
import { FileNote, Problem, Source } from "../Source";
import type { PolicyView, UsageWindow } from "../types";
import { UsageList } from "../UsageList";
import { namesSubject } from "./override";
import { FAILURE_WORDS, MODE_WORDS, SCOPE_DIMENSIONS, sentence } from "./words";

interface Props {
  policy: PolicyView;
  onEdit: () => void;
  onDelete: () => void;
  /** Another limit for one subject of it: as usage names it, or empty to choose. */
  onOverride: (subject: string) => void;
}

/** One policy: what it says, what is used now, and what can be done about it. */
export function PolicyDetails({ policy, onEdit, onDelete, onOverride }: Props) {
  const { mayChange } = useRights();
  const ofFile = policy.source === "config";
  const canOverride = mayChange && ofFile && SCOPE_DIMENSIONS[policy.scope].length > 0 && !namesSubject(policy);
  const act = canOverride
    ? {
        text: "Override",
        label: (subject: string) => `Override for ${subject}`,
        run: (window: UsageWindow) => onOverride(window.subject),
      }
    : undefined;
  return (
    <div className="flex flex-col gap-5">
      <div>
        <p className="text-lg">{sentence(policy)}</p>
        <Problem problem={policy.problem} />
        <Facts policy={policy} />
      </div>
      {mayChange && !ofFile && (
        <div className="flex flex-wrap gap-2">
          <Button kind="primary" onClick={onEdit}>
            Edit
          </Button>
          <Button kind="danger" onClick={onDelete}>
            Delete
          </Button>
        </div>
      )}
      {ofFile && (
        <FileNote what="policy">
          <OverrideNote policy={policy} />
          {canOverride && (
            <span className="mt-3 block">
              <Button size="small" onClick={() => onOverride("")}>
                Override it for one subject…
              </Button>
            </span>
          )}
        </FileNote>
      )}
      <section aria-label="Usage now">
        <h3 className="mb-2 font-medium">Usage now</h3>
        <UsageList of={{ policy: policy.name }} act={act} />
      </section>
    </div>
  );
}

function OverrideNote({ policy }: { policy: PolicyView }) {
  if (SCOPE_DIMENSIONS[policy.scope].length === 0 || namesSubject(policy)) {
    return (
      <span className="mt-2 block">
        {namesSubject(policy) ? "It names its subject itself" : "It is for everybody together"}, so nothing replaces it:
        another policy beside it can only be tighter.
      </span>
    );
  }
  return (
    <span className="mt-2 block">
      Another limit for one subject works at once: a policy of the API with the same scope and unit that names the
      subject replaces this one for that subject.
    </span>
  );
}

function Facts({ policy }: { policy: PolicyView }) {
  const { block } = policy;
  const facts: [string, React.ReactNode][] = [
    ["Source", <Source key="source" source={policy.source} />],
    ["Scope", policy.scope],
    ["Unit", policy.unit],
    ["Window", String(policy.window)],
    ["Mode", MODE_WORDS[policy.mode]],
    ["Without Redis", FAILURE_WORDS[policy.on_redis_failure]],
    [
      "Abusive clients",
      block
        ? `After ${block.denials} denials within ${block.within}, blocked for ${block.duration}`
        : "Told to wait, never blocked",
    ],
  ];
  if (policy.shards > 1) facts.push(["Parts", `${policy.shards}, for a Redis Cluster`]);
  return (
    <dl className="mt-3 grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 text-sm">
      {facts.map(([name, value]) => (
        <div key={name} className="contents">
          <dt className="text-quiet">{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function ModeBadge({ mode }: { mode: PolicyView["mode"] }) {
  const look = { enforce: "text-quiet", shadow: "text-warning", off: "border-dashed text-quiet" }[mode];
  return <Badge className={look}>{mode}</Badge>;
}
