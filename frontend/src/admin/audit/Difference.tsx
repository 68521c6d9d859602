import { Table, Td, Th } from "@/ui/table";
import { difference } from "./difference";

/** What changed, field by field: before struck through, after as it is; words say which, not colour alone. */
export function Difference({ label, before, after }: { label: string; before: object | null; after: object | null }) {
  const changes = difference(before, after);
  if (changes.length === 0) return <p className="text-sm text-quiet">No field that is shown has changed.</p>;
  return (
    <Table label={label} className="w-auto">
      <thead>
        <tr>
          <Th>Field</Th>
          {before && <Th>Before</Th>}
          {after && <Th>{before ? "After" : "Value"}</Th>}
        </tr>
      </thead>
      <tbody>
        {changes.map((each) => (
          <tr key={each.field}>
            <Td className="align-top font-mono text-xs leading-5">{each.field}</Td>
            {before && <Td className="align-top text-denied">{value(each.before, "del")}</Td>}
            {after && <Td className="align-top text-allowed">{value(each.after, "ins")}</Td>}
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

function value(text: string | null, As: "del" | "ins") {
  if (text === null) return <span className="text-quiet">default</span>;
  return <As className="break-all no-underline">{As === "del" ? <s>{text}</s> : text}</As>;
}
