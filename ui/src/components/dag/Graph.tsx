// A directed graph on screen: edges in SVG, nodes as real buttons or links above them, so that they take
// focus, wrap text and are read aloud. One tab stop; arrow keys walk along the edges.
import { useMemo, useRef, type KeyboardEvent, type ReactNode } from "react";
import { useEdges } from "../../lib/edges";
import { layoutGraph, neighbour, type Direction, type Edge, type Size } from "./layout";

const PADDING = 10;
const KEYS: Record<string, Direction> = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };

interface Props {
  label: string;
  ids: string[];
  edges: Edge[];
  size: Size;
  /** The node that holds the tab stop. */
  current?: string;
  /** A class for an edge, such as `live`. */
  edgeClass?: (edge: Edge) => string | undefined;
  node: (id: string, tabIndex: 0 | -1) => ReactNode;
}

export function Graph({ label, ids, edges, size, current, edgeClass, node }: Props) {
  const root = useRef<HTMLDivElement>(null);
  useEdges(root);
  // The layout depends on the shape only; a live run changes states far more often.
  const shape = JSON.stringify([ids, edges]);
  const layout = useMemo(() => layoutGraph(ids, edges, size), [shape, size]);
  const stop = current !== undefined && ids.includes(current) ? current : layout.nodes[0]?.id;

  const move = (event: KeyboardEvent): void => {
    const direction = KEYS[event.key];
    const holder = (event.target as HTMLElement).closest<HTMLElement>("[data-node]");
    const here = holder?.dataset["node"];
    if (!direction || here === undefined) return;
    event.preventDefault();
    const next = neighbour(layout, here, direction);
    const target = [...(root.current?.querySelectorAll<HTMLElement>("[data-node]") ?? [])].find((one) => one.dataset["node"] === next);
    target?.querySelector<HTMLElement>("button, a")?.focus();
  };

  const width = layout.width + 2 * PADDING;
  const height = layout.height + 2 * PADDING;
  return (
    <div className="graph" role="group" aria-label={label} ref={root} onKeyDown={move}>
      <div className="graph-canvas" style={{ width, height }}>
        <svg width={width} height={height} viewBox={`${-PADDING} ${-PADDING} ${width} ${height}`} aria-hidden="true">
          <defs>
            <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
              <path d="M1 1l6 3-6 3" fill="none" stroke="context-stroke" />
            </marker>
          </defs>
          {layout.edges.map((edge) => (
            <path key={`${edge.from}>${edge.to}`} className={`edge ${edgeClass?.(edge) ?? ""}`} d={edge.path} markerEnd="url(#arrow)" />
          ))}
        </svg>
        {layout.nodes.map(({ id, x, y }) => (
          <div
            key={id}
            className="graph-node"
            data-node={id}
            style={{ left: x + PADDING, top: y + PADDING, width: size.nodeWidth, height: size.nodeHeight }}
          >
            {node(id, id === stop ? 0 : -1)}
          </div>
        ))}
      </div>
    </div>
  );
}
