import { Table, Td, Th } from "@/ui/table";
import { type Changed, difference } from "./difference";

interface Props {
  label: string;
  before: object | null;
  after: object | null;
  /** Fields that are told elsewhere. */
  without?: readonly string[];
}

/** What changed, field by field. Words and a line through say which is which, not colour alone. */
export function Difference({ label, before, after, without = [] }: Props) {
  const changes = difference(before, after).filter((each) => !without.includes(each.field));
  if (before === null || after === null) return <Alone changes={changes} gone={after === null} />;
  if (changes.length === 0) return <p className="text-sm text-quiet">No field that is shown has changed.</p>;
  return (
    <Table label={label} className="w-auto">
      <thead>
        <tr>
          <Th>Field</Th>
          <Th>Before</Th>
          <Th>After</Th>
        </tr>
      </thead>
      <tbody>
        {changes.map((each) => (
          <tr key={each.field}>
            <Td className="align-top font-mono text-xs leading-5">{each.field}</Td>
            <Td className="align-top wrap-anywhere text-denied">
              {each.before === null ? <Default /> : <s>{each.before}</s>}
            </Td>
            <Td className="align-top font-medium wrap-anywhere text-allowed">{each.after ?? <Default />}</Td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

/** What was made, or what is gone: one value each. */
function Alone({ changes, gone }: { changes: readonly Changed[]; gone: boolean }) {
  if (changes.length === 0) return <p className="text-sm text-quiet">Every field had its default.</p>;
  return (
    <dl className="flex flex-wrap content-start gap-x-5 gap-y-1 text-sm">
      {changes.map((each) => (
        <div key={each.field} className="flex items-baseline gap-1.5">
          <dt className="font-mono text-xs text-quiet">{each.field}</dt>
          <dd className="wrap-anywhere">{gone ? <s className="text-denied">{each.before}</s> : each.after}</dd>
        </div>
      ))}
    </dl>
  );
}

function Default() {
  return <span className="font-normal whitespace-nowrap text-quiet">not set</span>;
}
