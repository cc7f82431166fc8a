import { columnOf, type RunColumn } from "./columns";

interface GroupProps {
  known: RunColumn[];
  value: string | undefined;
  onChange: (id: string | undefined) => void;
}

/** By which parameter or tag runs are put together. */
export function GroupChoice({ known, value, onChange }: GroupProps) {
  const chosen = value === undefined ? undefined : columnOf(value);
  const all = chosen && !known.some((one) => one.id === chosen.id) ? [...known, chosen] : known;
  return (
    <label>Group
      <select className="group-choice" value={value ?? ""} onChange={(event) => onChange(event.target.value === "" ? undefined : event.target.value)}>
        <option value="">by nothing</option>
        {([["params", "Parameters"], ["tags", "Tags"]] as const).map(([entity, label]) => (
          <optgroup key={entity} label={label}>
            {all.filter((one) => one.entity === entity).map((one) => <option key={one.id} value={one.id}>{one.head}</option>)}
          </optgroup>
        ))}
      </select>
    </label>
  );
}

export function StageChoice({ value, onChange }: { value: "active" | "deleted"; onChange: (stage: "active" | "deleted") => void }) {
  return (
    <label>Show
      <select value={value} onChange={(event) => onChange(event.target.value === "deleted" ? "deleted" : "active")}>
        <option value="active">active</option>
        <option value="deleted">deleted</option>
      </select>
    </label>
  );
}
