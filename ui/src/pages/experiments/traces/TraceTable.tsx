// The table of traces: a grid of which only the rows in sight are in the document. One tab stop; arrow keys walk the rows,
// Enter opens one.
import { useRouter } from "@tanstack/react-router";
import { memo, useCallback, useDeferredValue, useEffect, useId, useMemo, useRef, useState, type CSSProperties, type KeyboardEvent, type MouseEvent } from "react";
import type { Trace, TraceSearch } from "../../../api/traces";
import { Icon } from "../../../components/Icon";
import { plural } from "../../../lib/format";
import { useRowWindow } from "../useRowWindow";
import { ROW_PX, rowAfter, scrollFor } from "../window";
import { columnsOf, nextSort, titleOf, type TraceColumn } from "./columns";
import type { Traces } from "./useTraces";

const HEAD_PX = 34;
const NAME_PX = 240;
/** Rows before the end of what is loaded at which the next page is asked for. */
const AHEAD = 40;

export const tracePath = (trace: Pick<Trace, "experiment" | "id">): string => `/experiments/${trace.experiment}/traces/${encodeURIComponent(trace.id)}`;

interface Props {
  /** What is searched for: another search begins at the top. */
  search: TraceSearch;
  traces: Traces;
  sort: string | undefined;
  onSort: (sort: string | undefined) => void;
}

export function TraceTable({ search, traces: latest, sort, onSort }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const id = useId();
  const router = useRouter();
  const rows = useDeferredValue(latest.rows);
  const columns = useMemo(() => columnsOf(rows), [rows]);
  const { view, measure } = useRowWindow(box, rows.length);
  const [active, setActive] = useState(0);
  const current = Math.min(active, Math.max(0, rows.length - 1));
  useEffect(() => {
    if (box.current) box.current.scrollTop = 0;
    setActive(0);
  }, [search]);
  const { more, tired, next, busy, error } = latest;
  useEffect(() => {
    if (more && !tired && !busy && error === undefined && view[1] + AHEAD > latest.rows.length) next();
  });
  const open = useCallback((path: string) => router.history.push(path), [router]);
  const press = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const trace = rows[current];
    const to = rowAfter(event.key, current, rows.length, Math.floor((box.current?.clientHeight ?? 0) / ROW_PX) - 2);
    if (to !== undefined) {
      setActive(to);
      const element = box.current;
      const top = element ? scrollFor(to, element.scrollTop, element.clientHeight, HEAD_PX) : undefined;
      if (element && top !== undefined) {
        element.scrollTop = top;
        measure();
      }
    } else if (event.key === "Enter" && event.target === box.current && trace) open(tracePath(trace));
    else return;
    event.preventDefault();
  };
  const template = [`minmax(${NAME_PX}px, 1.4fr)`, ...columns.map((column) => (column.grows ? `minmax(${column.width_px}px, 1fr)` : `${column.width_px}px`))].join(" ");
  const width = NAME_PX + columns.reduce((sum, column) => sum + column.width_px, 0);
  const said = `${plural(rows.length, "trace")}${more ? " or more" : ""}`;
  return (
    <div
      className={latest.stale ? "run-grid trace-grid busy" : "run-grid trace-grid"}
      ref={box}
      role="grid"
      aria-label="Traces"
      aria-rowcount={more ? -1 : rows.length + 1}
      aria-colcount={columns.length + 1}
      aria-activedescendant={current >= view[0] && current < view[1] && rows.length > 0 ? `${id}-${current}` : undefined}
      tabIndex={0}
      onKeyDown={press}
    >
      <div className="run-sheet" style={{ "--columns": template, minWidth: width } as CSSProperties}>
        <Head columns={columns} sort={sort} onSort={onSort} />
        <div className="run-rows" role="rowgroup" style={{ height: rows.length * ROW_PX }}>
          <div style={{ transform: `translateY(${view[0] * ROW_PX}px)` }}>
            {rows.slice(view[0], view[1]).map((trace, offset) => {
              const index = view[0] + offset;
              return <Row key={trace.id} id={`${id}-${index}`} index={index} trace={trace} columns={columns} active={index === current} onOpen={open} />;
            })}
          </div>
        </div>
        {more && <p className="trace-more faint">{tired ? <>Nothing more so far. <button type="button" className="link" onClick={next}>Look further</button></> : "Loading more…"}</p>}
      </div>
      <span className="hidden-text" role="status">{latest.stale ? "Loading traces" : said}</span>
    </div>
  );
}

function Head({ columns, sort, onSort }: Pick<Props, "sort" | "onSort"> & { columns: TraceColumn[] }) {
  return (
    <div className="run-head" role="rowgroup">
      <div className="run-line" role="row" aria-rowindex={1}>
        <span role="columnheader" className="trace-name">Request</span>
        {columns.map((column) => {
          const sorted = sort === column.id ? "ascending" : sort === `-${column.id}` ? "descending" : undefined;
          return (
            <span key={column.id} role="columnheader" className={column.number ? "number" : undefined} aria-sort={sorted}>
              {column.order === undefined ? <span className="run-head-text">{column.head}</span> : (
                <button type="button" onClick={() => onSort(nextSort(column, sort))}>
                  <span className="run-head-text">{column.head}</span>
                  {sorted && <Icon name="up" className={sorted === "descending" ? "turned" : undefined} />}
                </button>
              )}
            </span>
          );
        })}
      </div>
    </div>
  );
}

interface RowProps {
  id: string;
  index: number;
  trace: Trace;
  columns: TraceColumn[];
  active: boolean;
  onOpen: (path: string) => void;
}

const Row = memo(function Row({ id, index, trace, columns, active, onOpen }: RowProps) {
  const go = (event: MouseEvent<HTMLAnchorElement>): void => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    onOpen(event.currentTarget.getAttribute("href") ?? "");
  };
  const title = titleOf(trace).slice(0, 400);
  return (
    <div className={active ? "run-line active" : "run-line"} role="row" id={id} aria-rowindex={index + 2}>
      <span role="gridcell" className="run-name trace-name"><a href={tracePath(trace)} tabIndex={-1} title={title} onClick={go}><bdi>{title}</bdi></a></span>
      {columns.map((column) => <span key={column.id} role="gridcell" className={column.number ? "number" : undefined}>{column.cell(trace)}</span>)}
    </div>
  );
});
