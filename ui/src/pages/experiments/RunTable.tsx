// The run table: a grid of which only the rows in sight are in the document. One tab stop; arrow keys walk the rows,
// space selects one, enter opens it.
import { useRouter } from "@tanstack/react-router";
import { useCallback, useDeferredValue, useEffect, useId, useMemo, useRef, useState, type CSSProperties, type KeyboardEvent, type RefObject } from "react";
import type { RunSearch, TrackingRun } from "../../api/tracking";
import { Icon } from "../../components/Icon";
import { count } from "../../lib/format";
import { canSort, NAME, nextSort, type RunColumn, type Sort } from "./columns";
import { Row, runPath } from "./RunRow";
import type { Selection } from "./useSelection";
import { useScrolled } from "./useRowWindow";
import type { Runs } from "./useRuns";
import { columnWindow, FIXED_PX, ROW_PX, rowAfter, rowWindow, scrollFor } from "./window";

const HEAD_PX = 34;
/** The pages of a place that the scroll bar is dragged past are not asked for. */
const SETTLE_MS = 70;

interface Props {
  /** What is searched for: another search begins at the top. */
  search: RunSearch;
  runs: Runs;
  columns: RunColumn[];
  sort: Sort | undefined;
  onSort: (sort: string | undefined) => void;
  selection: Selection;
  window: [number, number];
  onWindow: (window: [number, number]) => void;
}

export function RunTable({ search, runs: latest, columns, sort, onSort, selection, window: loaded, onWindow }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const id = useId();
  const router = useRouter();
  // A page that arrives is forty rows at once: they are drawn in pieces, between which scrolling goes on.
  const runs = useDeferredValue(latest);
  const { total } = runs;
  const widths = useMemo(() => columns.map((column) => column.width_px), [columns]);
  const { view, sides, measure: setView } = useWindow(box, total, widths);
  const shown = useMemo(() => columns.slice(sides[0], sides[1]), [columns, sides]);
  const [active, setActive] = useState(0);
  const current = Math.min(active, Math.max(0, total - 1));
  useEffect(() => {
    if (box.current) box.current.scrollTop = 0;
    setActive(0);
  }, [search]);
  useEffect(() => {
    if (view[0] === loaded[0] && view[1] === loaded[1]) return undefined;
    const timer = window.setTimeout(() => onWindow(view), SETTLE_MS);
    return () => window.clearTimeout(timer);
  }, [view, loaded, onWindow]);

  const press = useKeys({ box, runs, selection, current, setActive, measure: setView });
  const rows = useRef(runs);
  rows.current = runs;
  const { toggle, range } = selection;
  const check = useCallback((run: TrackingRun, index: number, extend: boolean) => {
    setActive(index);
    if (extend) range(rows.current, undefined, index);
    else toggle(run, index);
  }, [toggle, range]);
  const open = useCallback((path: string) => router.history.push(path), [router]);

  const template = `34px minmax(230px, 1fr) ${columns.map((column) => `${column.width_px}px`).join(" ")}`;
  const width = FIXED_PX + widths.reduce((sum, one) => sum + one, 0);
  return (
    <div
      className={runs.busy ? "run-grid busy" : "run-grid"}
      ref={box}
      role="grid"
      aria-label="Runs"
      aria-rowcount={runs.counted ? total + 1 : -1}
      aria-colcount={columns.length + 2}
      aria-multiselectable="true"
      aria-activedescendant={total > 0 ? `${id}-${current}` : undefined}
      tabIndex={0}
      onKeyDown={press}
    >
      <div className="run-sheet" style={{ "--columns": template, minWidth: width } as CSSProperties}>
        <Head columns={shown} from={sides[0]} sort={sort} onSort={onSort} />
        <div className="run-rows" role="rowgroup" style={{ height: total * ROW_PX }}>
          <div style={{ transform: `translateY(${view[0] * ROW_PX}px)` }}>
            <Rows id={id} view={view} runs={runs} columns={shown} from={sides[0]} current={current} chosen={selection.chosen} onCheck={check} onOpen={open} />
          </div>
        </div>
      </div>
      <span className="hidden-text" role="status">{runs.busy ? "Loading runs" : `${count(total)} ${runs.counted ? "runs" : "runs or more"}`}</span>
    </div>
  );
}

interface RowsProps {
  id: string;
  view: [number, number];
  runs: Runs;
  columns: RunColumn[];
  from: number;
  current: number;
  chosen: Map<string, string>;
  onCheck: (run: TrackingRun, index: number, extend: boolean) => void;
  onOpen: (path: string) => void;
}

function Rows({ id, view, runs, columns, from, current, chosen, onCheck, onOpen }: RowsProps) {
  const length = Math.max(0, Math.min(view[1], runs.total) - view[0]);
  return Array.from({ length }, (_, offset) => {
    const index = view[0] + offset;
    const run = runs.row(index);
    return <Row key={index} id={`${id}-${index}`} index={index} run={run} columns={columns} from={from} active={index === current} chosen={run !== undefined && chosen.has(run.id)} onCheck={onCheck} onOpen={onOpen} />;
  });
}

function Head({ columns, from, sort, onSort }: Pick<Props, "columns" | "sort" | "onSort"> & { from: number }) {
  return (
    <div className="run-head" role="rowgroup">
      <div className="run-line" role="row" aria-rowindex={1}>
        <span role="columnheader" className="run-check"><span className="hidden-text">Select</span></span>
        <HeadCell id={NAME} head="Run" className="run-name" sort={sort} onSort={onSort} />
        {columns.map((column, index) => <HeadCell key={column.id} id={column.id} at={from + index + 3} head={column.head} title={column.id} className={column.number ? "number" : ""} sort={sort} onSort={onSort} />)}
      </div>
    </div>
  );
}

interface HeadProps {
  id: string;
  head: string;
  title?: string;
  /** Its place among the columns, counted from 1 with the check box. */
  at?: number;
  className: string;
  sort: Sort | undefined;
  onSort: (sort: string | undefined) => void;
}

function HeadCell({ id, head, title, at = 2, className, sort, onSort }: HeadProps) {
  const sorted = sort?.id === id ? (sort.descending ? "descending" : "ascending") : undefined;
  return (
    <span role="columnheader" className={className} aria-sort={sorted} aria-colindex={at} style={{ gridColumn: at }} title={title}>
      {canSort(id) ? (
        <button type="button" onClick={() => onSort(nextSort(id, sort))}>
          <span className="run-head-text">{head}</span>
          {sorted && <Icon name="up" className={sorted === "descending" ? "turned" : undefined} />}
        </button>
      ) : <span className="run-head-text">{head}</span>}
    </span>
  );
}

interface View {
  view: [number, number];
  sides: [number, number];
  measure: () => void;
}

/** The rows and columns that are in the document; it draws again only when they change, not at every pixel. */
function useWindow(box: { current: HTMLElement | null }, total: number, widths: number[]): View {
  const [view, setView] = useState<[number, number]>([0, 40]);
  const [sides, setSides] = useState<[number, number]>([0, 12]);
  const measure = useCallback((): void => {
    const element = box.current;
    if (!element) return;
    const same = (a: [number, number], b: [number, number]): [number, number] => (a[0] === b[0] && a[1] === b[1] ? a : b);
    const rows = rowWindow(element.scrollTop, element.clientHeight, total);
    const columns = columnWindow(element.scrollLeft, element.clientWidth, widths);
    setView((before) => same(before, rows));
    setSides((before) => same(before, columns));
  }, [box, total, widths]);
  useScrolled(box, measure);
  return { view, sides, measure };
}

interface Keys {
  box: RefObject<HTMLDivElement | null>;
  runs: Runs;
  selection: Selection;
  current: number;
  setActive: (row: number) => void;
  measure: () => void;
}

/** What keys do in the table. Its heads are buttons, which take Enter and the space for themselves. */
function useKeys({ box, runs, selection, current, setActive, measure }: Keys): (event: KeyboardEvent) => void {
  const router = useRouter();
  const go = (to: number): void => {
    setActive(to);
    const element = box.current;
    const top = element && scrollFor(to, element.scrollTop, element.clientHeight, HEAD_PX);
    if (element && top !== undefined && top !== null) {
      element.scrollTop = top;
      measure();
    }
  };
  return (event) => {
    const own = event.target === box.current;
    if (event.ctrlKey || event.metaKey || event.altKey || (!own && (event.key === "Enter" || event.key === " "))) return;
    const run = runs.row(current);
    const to = rowAfter(event.key, current, runs.total, Math.floor((box.current?.clientHeight ?? 0) / ROW_PX) - 2);
    if (to !== undefined) {
      if (event.shiftKey && run) selection.range(runs, current, to);
      go(to);
    } else if (event.key === " " && run) selection.toggle(run, current);
    else if (event.key === "Enter" && run) router.history.push(runPath(run));
    else if (event.key === "Escape" && selection.chosen.size > 0) selection.clear();
    else return;
    event.preventDefault();
  };
}
