// The spans of a trace on a time axis: a tree grid of which only the rows in sight are in the document. One tab stop; arrows
// walk, open and close, Enter shows a span beside it, `+` zooms in on it and `0` out again.
import { useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState, type CSSProperties, type KeyboardEvent, type RefObject } from "react";
import { Icon } from "../../../components/Icon";
import { count, plural } from "../../../lib/format";
import { useWidth } from "../../../lib/width";
import { useRowWindow } from "../useRowWindow";
import { ROW_PX, rowAfter, scrollFor } from "../window";
import { above, linesOf, matches, type Node, type SpanTree } from "./spanTree";
import { around, fine, ticks, type Part } from "./timeAxis";
import { WaterfallRow } from "./WaterfallRow";

const HEAD_PX = 34;
/** Room for a tick with its label. */
const TICK_PX = 84;
/** A label that begins in the last part of the axis would be cut. */
const ROOM = 0.16;

interface Props {
  tree: SpanTree;
  /** Id of the span that is shown beside. */
  chosen: string | undefined;
  onChoose: (id: string) => void;
}

export function Waterfall({ tree, chosen, onChoose }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const id = useId();
  const [closed, setClosed] = useState<ReadonlySet<string>>(() => new Set());
  const [wanted, setWanted] = useState("");
  const [onlyErrors, setOnlyErrors] = useState(false);
  const [zoom, setZoom] = useState<Part | undefined>(undefined);
  const [cursor, setCursor] = useState<string | undefined>(chosen);
  const words = wanted.trim().toLowerCase();
  const lines = useMemo(() => {
    const kept = words === "" && !onlyErrors ? undefined : (node: Node): boolean => (!onlyErrors || node.span.status === "error") && (words === "" || matches(node, words));
    return linesOf(tree, closed, kept);
  }, [tree, closed, words, onlyErrors]);
  const filtered = words !== "" || onlyErrors;
  const { view, measure } = useRowWindow(box, lines.length);
  const current = useCursor(tree, lines, cursor);
  const part: Part = zoom ?? [0, tree.length_us];
  const reach = useCallback((row: number): void => {
    const element = box.current;
    const top = element ? scrollFor(row, element.scrollTop, element.clientHeight, HEAD_PX) : undefined;
    if (element && top !== undefined) {
      element.scrollTop = top;
      measure();
    }
  }, [measure]);
  useShown({ tree, lines, chosen, setClosed, setCursor, reach });

  const toggle = useCallback((span: string): void => setClosed((before) => {
    const after = new Set(before);
    if (!after.delete(span)) after.add(span);
    return after;
  }), []);
  const choose = useCallback((span: string): void => {
    setCursor(span);
    onChoose(span);
  }, [onChoose]);
  const node = lines[current];
  const go = (row: number): void => {
    setCursor(lines[row]?.span.id);
    reach(row);
  };
  const zoomIn = (to: Node): void => setZoom(around(to.span.start_us, to.span.end_us ?? tree.length_us, tree.length_us));
  const press = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || !node) return;
    const open = node.children.length > 0 && !closed.has(node.span.id);
    const to = rowAfter(event.key, current, lines.length, Math.floor((box.current?.clientHeight ?? 0) / ROW_PX) - 2);
    if (to !== undefined) go(to);
    else if (event.key === "ArrowRight" && node.children.length > 0) {
      if (open || filtered) go(Math.min(current + 1, lines.length - 1));
      else toggle(node.span.id);
    } else if (event.key === "ArrowLeft") {
      if (open && !filtered) toggle(node.span.id);
      else if (node.parent) go(lines.indexOf(node.parent));
    } else if (event.key === "Enter" || event.key === " ") choose(node.span.id);
    else if (event.key === "+") zoomIn(node);
    else if (event.key === "0") setZoom(undefined);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const parents = useMemo(() => tree.all.filter((one) => one.children.length > 0), [tree]);
  return (
    <div className="waterfall">
      <div className="toolbar">
        <input type="search" data-search className="pair-search" aria-label="Find a span" placeholder={`Find among ${plural(tree.all.length, "span")} (/)`} spellCheck={false} value={wanted} onChange={(event) => setWanted(event.target.value)} />
        {tree.errors > 0 && <button type="button" className="button" aria-pressed={onlyErrors} onClick={() => setOnlyErrors(!onlyErrors)}><Icon name="cross" className="tone-bad" />{plural(tree.errors, "error")}</button>}
        {parents.length > 1 && !filtered && (closed.size === 0
          ? <button type="button" className="button" onClick={() => setClosed(new Set(parents.filter((one) => one.depth > 0 || one.siblings > 1).map((one) => one.span.id)))}>Close all</button>
          : <button type="button" className="button" onClick={() => setClosed(new Set())}>Open all</button>)}
        {zoom ? <button type="button" className="button" onClick={() => setZoom(undefined)}>Show all of the time</button>
          : node && tree.all.length > 1 && <button type="button" className="button" title="Also by +" onClick={() => zoomIn(node)}>Zoom in</button>}
        {filtered && <span className="faint number" role="status">{count(lines.length)} shown</span>}
      </div>
      <div
        className="wf-box"
        ref={box}
        role="treegrid"
        aria-label="Spans"
        aria-rowcount={lines.length + 1}
        aria-colcount={3}
        aria-activedescendant={node && current >= view[0] && current < view[1] ? `${id}-${current}` : undefined}
        tabIndex={0}
        onKeyDown={press}
        style={{ "--rows": tree.all.length } as CSSProperties}
      >
        <div className="wf-sheet">
          <Axis part={part} />
          <div className="wf-rows" role="rowgroup" style={{ height: lines.length * ROW_PX }}>
            <div style={{ transform: `translateY(${view[0] * ROW_PX}px)` }}>
              {lines.slice(view[0], view[1]).map((line, offset) => {
                const index = view[0] + offset;
                return <WaterfallRow key={line.span.id} id={`${id}-${index}`} index={index} node={line} open={filtered || !closed.has(line.span.id)} fixed={filtered} part={part} end_us={tree.length_us} active={index === current} chosen={line.span.id === chosen} onToggle={toggle} onChoose={choose} />;
              })}
            </div>
          </div>
        </div>
        {lines.length === 0 && <p className="trace-more soft">No span has that in its name, type or attributes.</p>}
      </div>
    </div>
  );
}

/** The row of the cursor; where it is hidden, that of the nearest span above it. */
function useCursor(tree: SpanTree, lines: Node[], cursor: string | undefined): number {
  return useMemo(() => {
    const places = new Map(lines.map((line, index) => [line, index]));
    for (let at = cursor === undefined ? undefined : tree.byId.get(cursor); at; at = at.parent) {
      const place = places.get(at);
      if (place !== undefined) return place;
    }
    return 0;
  }, [tree, lines, cursor]);
}

interface Shown {
  tree: SpanTree;
  lines: Node[];
  chosen: string | undefined;
  setClosed: (change: (before: ReadonlySet<string>) => ReadonlySet<string>) => void;
  setCursor: (id: string) => void;
  reach: (row: number) => void;
}

/** Brings a span into sight that was chosen elsewhere: by the address, or by what was said about it. */
function useShown({ tree, lines, chosen, setClosed, setCursor, reach }: Shown): void {
  const last = useRef<string | undefined>(undefined);
  useEffect(() => {
    const node = chosen === undefined ? undefined : tree.byId.get(chosen);
    if (!node || last.current === chosen) return;
    last.current = chosen;
    const over = above(node).map((one) => one.span.id);
    setCursor(node.span.id);
    setClosed((before) => (over.some((one) => before.has(one)) ? new Set([...before].filter((one) => !over.includes(one))) : before));
  }, [tree, chosen, setClosed, setCursor]);
  const reached = useRef<string | undefined>(undefined);
  useLayoutEffect(() => {
    if (chosen === undefined || reached.current === chosen) return;
    const row = lines.findIndex((line) => line.span.id === chosen);
    if (row < 0) return;
    reached.current = chosen;
    reach(row);
  }, [lines, chosen, reach]);
}

function Axis({ part }: { part: Part }) {
  const [track, width] = useWidth(400) as [RefObject<HTMLDivElement | null>, number];
  const marks = ticks(part, Math.floor(width / TICK_PX));
  const length = Math.max(part[1] - part[0], Number.EPSILON);
  const at = (us: number): string => `${((us - part[0]) / length) * 100}%`;
  return (
    <>
      <div className="wf-head" role="rowgroup">
        <div className="wf-line" role="row" aria-rowindex={1}>
          <span role="columnheader">Span</span>
          <span role="columnheader" className="wf-track" aria-label="When">
            <div className="wf-axis" ref={track} aria-hidden="true">{marks.map((us) => <i key={us} style={{ left: at(us) }}>{us === 0 ? "0" : part[1] - us < length * ROOM ? "" : fine(us)}</i>)}</div>
          </span>
          <span role="columnheader" className="number">Took</span>
        </div>
      </div>
      <div className="wf-line wf-grid" aria-hidden="true"><span /><span className="wf-track">{marks.map((us) => <i key={us} style={{ left: at(us) }} />)}</span><span /></div>
    </>
  );
}
