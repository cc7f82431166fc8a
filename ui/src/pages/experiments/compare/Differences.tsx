// Parameters, metrics and tags of runs as a table: a column for each run, at first only what differs.
import { useMemo, useRef, useState } from "react";
import type { TrackingRun } from "../../../api/tracking";
import { Swatch } from "../../../components/chart/Legend";
import type { Look } from "../../../components/chart/palette";
import { Empty } from "../../../components/Notice";
import { useEdges } from "../../../lib/edges";
import { metric, plural } from "../../../lib/format";
import { extremes, rowsOf, type DiffRow, type Section } from "./differences";

const SECTIONS: [Section, string][] = [["params", "Parameters"], ["metrics", "Metrics"], ["attributes", "Attributes"], ["tags", "Tags"]];

export function Differences({ runs, looks }: { runs: TrackingRun[]; looks: Map<string, Look> }) {
  const [all, setAll] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEdges(box);
  const rows = useMemo(() => rowsOf(runs), [runs]);
  const shown = all ? rows : rows.filter((row) => row.differs);
  const same = rows.length - rows.filter((row) => row.differs).length;
  return (
    <>
      <div className="toolbar">
        <label className="check"><input type="checkbox" checked={all} onChange={(event) => setAll(event.target.checked)} />Show what is the same too</label>
        <span className="faint">{plural(same, "row")} {same === 1 ? "is" : "are"} the same. ▲ and ▼ mark the greatest and the least value of a metric.</span>
      </div>
      {shown.length === 0 ? <Empty title="These runs do not differ">Neither in parameters nor in metrics nor in tags.</Empty> : (
        <div className="table grid diff-grid" ref={box} role="group" aria-label="Differences" tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col"><span className="hidden-text">Name</span></th>
                {runs.map((run) => {
                  const look = looks.get(run.id);
                  return <th key={run.id} scope="col" title={run.name}>{look && <Swatch look={look} />} <bdi className="ref-name">{run.name}</bdi></th>;
                })}
              </tr>
            </thead>
            {SECTIONS.map(([section, title]) => <SectionRows key={section} title={title} rows={shown.filter((row) => row.section === section)} runs={runs} />)}
          </table>
        </div>
      )}
    </>
  );
}

function SectionRows({ title, rows, runs }: { title: string; rows: DiffRow[]; runs: TrackingRun[] }) {
  if (rows.length === 0) return null;
  return (
    <tbody>
      <tr className="diff-section"><th scope="rowgroup">{title}</th><td colSpan={runs.length} /></tr>
      {rows.map((row) => {
        const ends = row.numbers && extremes(row.numbers);
        return (
          <tr key={row.key} className={row.differs ? undefined : "same"}>
            <th scope="row" title={row.key}><bdi>{row.key}</bdi></th>
            {row.values.map((value, index) => <td key={runs[index]?.id ?? index} className={row.numbers ? "number" : undefined}><Value value={value} number={row.numbers?.[index]} ends={ends} /></td>)}
          </tr>
        );
      })}
    </tbody>
  );
}

function Value({ value, number, ends }: { value: string | undefined; number: number | undefined; ends: { least: number; most: number } | undefined }) {
  if (value === undefined) return <span className="faint">–</span>;
  if (number === undefined) return <bdi className="grid-text" title={value}>{value}</bdi>;
  return (
    <span title={value}>
      {number === ends?.most && <span className="diff-end" title="greatest"><span aria-hidden="true">▲</span><span className="hidden-text">greatest</span> </span>}
      {number === ends?.least && <span className="diff-end" title="least"><span aria-hidden="true">▼</span><span className="hidden-text">least</span> </span>}
      {metric(number)}
    </span>
  );
}
