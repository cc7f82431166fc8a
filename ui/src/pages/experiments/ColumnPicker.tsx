// Which columns the run table has: what the runs have, by kind, with a field that filters.
import { useState } from "react";
import { Popover } from "../../components/Popover";
import { columnOf, type Entity, type RunColumn } from "./columns";

const KINDS: [Entity, string][] = [["attributes", "Attributes"], ["metrics", "Metrics"], ["params", "Parameters"], ["tags", "Tags"]];
/** More check boxes than anybody reads. */
const SHOWN_MAX = 100;

interface Props {
  known: RunColumn[];
  chosen: RunColumn[];
  onChange: (columns: RunColumn[] | undefined) => void;
}

export function ColumnPicker(props: Props) {
  return <Popover label={<>Columns <span className="faint">{props.chosen.length}</span></>} title="Columns">{() => <Choices {...props} />}</Popover>;
}

function Choices({ known, chosen, onChange }: Props) {
  const [wanted, setWanted] = useState("");
  const has = new Set(chosen.map((one) => one.id));
  const all = [...known, ...chosen.filter((one) => !known.some((other) => other.id === one.id))];
  const matches = (column: RunColumn): boolean => column.head.toLowerCase().includes(wanted.trim().toLowerCase());
  const toggle = (column: RunColumn): void => onChange(has.has(column.id) ? chosen.filter((one) => one.id !== column.id) : [...chosen, column]);
  const named = wanted.trim();
  const exact = all.some((one) => one.key === named && one.entity !== "attributes");
  return (
    <div className="column-choices">
      <input type="search" aria-label="Find a column" placeholder="Find a column" value={wanted} spellCheck={false} onChange={(event) => setWanted(event.target.value)} />
      <div className="column-list">
        {KINDS.map(([entity, kind]) => <Kind key={entity} kind={kind} columns={all.filter((one) => one.entity === entity && matches(one))} has={has} onToggle={toggle} onAll={(columns, on) => onChange(on ? [...chosen, ...columns.filter((one) => !has.has(one.id))] : chosen.filter((one) => !columns.some((other) => other.id === one.id)))} />)}
      </div>
      {named !== "" && !exact && (
        <p className="faint">Not among the runs that were looked at. Add “{named}” as a{" "}
          {(["metrics", "params", "tags"] as const).map((entity, index) => {
            const column = columnOf(`${entity}.${named}`);
            return column && <span key={entity}>{index > 0 && ", "}<button type="button" className="link" onClick={() => { onChange([...chosen, column]); setWanted(""); }}>{entity.slice(0, -1)}</button></span>;
          })}
        </p>
      )}
      <div className="popover-foot"><button type="button" className="link" onClick={() => onChange(undefined)}>As at first</button></div>
    </div>
  );
}

interface KindProps {
  kind: string;
  columns: RunColumn[];
  has: Set<string>;
  onToggle: (column: RunColumn) => void;
  onAll: (columns: RunColumn[], on: boolean) => void;
}

function Kind({ kind, columns, has, onToggle, onAll }: KindProps) {
  if (columns.length === 0) return null;
  const all = columns.every((one) => has.has(one.id));
  return (
    <fieldset>
      <legend>{kind} <button type="button" className="link" aria-label={all ? `No ${kind.toLowerCase()}` : `All ${kind.toLowerCase()}`} onClick={() => onAll(columns, !all)}>{all ? "none" : "all"}</button></legend>
      {columns.slice(0, SHOWN_MAX).map((column) => (
        <label key={column.id} className="check"><input type="checkbox" checked={has.has(column.id)} onChange={() => onToggle(column)} /><bdi>{column.head}</bdi></label>
      ))}
      {columns.length > SHOWN_MAX && <p className="faint">{columns.length - SHOWN_MAX} more: type a part of the name</p>}
    </fieldset>
  );
}
