import type { Field } from "./axes";

interface Props {
  label: string;
  fields: Field[];
  value: string;
  onChange: (id: string) => void;
}

/** A parameter or metric for an axis. */
export function FieldChoice({ label, fields, value, onChange }: Props) {
  return (
    <label>{label}
      <select className="field-choice" value={value} onChange={(event) => onChange(event.target.value)}>
        <FieldOptions fields={fields} />
      </select>
    </label>
  );
}

export function FieldOptions({ fields }: { fields: Field[] }) {
  return ([["metrics", "Metrics"], ["params", "Parameters"]] as const).map(([entity, label]) => (
    <optgroup key={entity} label={label}>
      {fields.filter((field) => field.entity === entity).map((field) => <option key={field.id} value={field.id}>{field.key}</option>)}
    </optgroup>
  ));
}
