import { Meter } from "@/ui/meter";
import { Table, Td, Th } from "@/ui/table";
import { Problem, Source } from "../Source";
import type { PolicyView, UsageWindow } from "../types";
import { ModeBadge } from "./PolicyDetails";
import { anyOf, conditions, DIMENSION_WORDS, limitWords, sentence, subjectWords } from "./words";

interface Props {
  policies: readonly PolicyView[];
  /** Each policy's fullest window now, by its name. */
  fullest: ReadonlyMap<string, UsageWindow>;
  onOpen: (policy: PolicyView) => void;
}

export function PolicyTable({ policies, fullest, onOpen }: Props) {
  return (
    <Table label="List of policies">
      <thead>
        <tr>
          <Th>Policy</Th>
          <Th className="hidden md:table-cell">Scope</Th>
          <Th className="hidden md:table-cell">Applies to</Th>
          <Th className="hidden md:table-cell">Limit</Th>
          <Th className="hidden sm:table-cell">Mode</Th>
          <Th className="hidden sm:table-cell">Source</Th>
          <Th>Fullest now</Th>
        </tr>
      </thead>
      <tbody>
        {policies.map((policy) => (
          <Row key={policy.name} policy={policy} window={fullest.get(policy.name)} onOpen={onOpen} />
        ))}
      </tbody>
    </Table>
  );
}

function Row({
  policy,
  window,
  onOpen,
}: {
  policy: PolicyView;
  window?: UsageWindow | undefined;
  onOpen: Props["onOpen"];
}) {
  const per = policy.per.map((dimension) => DIMENSION_WORDS[dimension]).join(", ");
  return (
    <tr className="hover:bg-raised">
      <Td className="align-top">
        <NameButton name={policy.name} onClick={() => onOpen(policy)} />
        <p className="text-quiet md:hidden">{sentence(policy)}</p>
        <p className="mt-1 flex gap-1.5 sm:hidden">
          <ModeBadge mode={policy.mode} />
          <Source source={policy.source} />
        </p>
        <Problem problem={policy.problem} />
      </Td>
      <Td className="hidden align-top md:table-cell">
        {policy.scope}
        {per && <span className="block text-quiet">per {per}</span>}
      </Td>
      <Td className="hidden align-top md:table-cell">
        <Conditions policy={policy} />
      </Td>
      <Td className="hidden align-top tabular-nums md:table-cell">{limitWords(policy)}</Td>
      <Td className="hidden align-top sm:table-cell">
        <ModeBadge mode={policy.mode} />
      </Td>
      <Td className="hidden align-top sm:table-cell">
        <Source source={policy.source} />
      </Td>
      <Td className="align-top">{window ? <Fullest window={window} /> : <span className="text-quiet">empty</span>}</Td>
    </tr>
  );
}

/** The name of what a row is about: opens it. */
export function NameButton({ name, onClick }: { name: string; onClick: () => void }) {
  return (
    <button
      type="button"
      onClick={onClick}
      className="cursor-pointer rounded text-left font-medium break-all underline decoration-line-strong underline-offset-4 hover:decoration-current"
    >
      {name}
    </button>
  );
}

function Conditions({ policy }: { policy: PolicyView }) {
  const given = conditions(policy.match);
  if (given.length === 0) return <span className="text-quiet">every request</span>;
  return given.map(([dimension, names]) => (
    <span key={dimension} className="block">
      <span className="text-quiet">{DIMENSION_WORDS[dimension]}</span> {anyOf(names)}
    </span>
  ));
}

/** `below`: what stands under the meter; whose window it is where this is left out. */
export function Fullest({ window, below }: { window: UsageWindow; below?: string }) {
  const subject = subjectWords(window.scope, window.subject);
  return (
    <div className="max-w-44">
      <Meter label={`${window.policy}, ${subject}: used`} used={window.used} limit={window.limit} />
      <span className="mt-0.5 block text-xs break-words text-quiet">{below ?? subject}</span>
    </div>
  );
}
