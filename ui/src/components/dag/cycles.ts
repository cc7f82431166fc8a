// Finds the edges that close a cycle. A lineage has them: a run that reads the version it wrote itself.
import type { Edge } from "./layout";

/** Edges to a node that is still being walked from, depth first: sources first, ties in input order. */
export function backEdges(ids: string[], edges: Edge[]): Set<Edge> {
  const out = new Map<string, Edge[]>(ids.map((id) => [id, []]));
  for (const edge of edges) out.get(edge.from)?.push(edge);
  const entered = new Set(edges.map((edge) => edge.to));
  const starts = [...ids.filter((id) => !entered.has(id)), ...ids];
  const state = new Map<string, "open" | "done">();
  const back = new Set<Edge>();
  for (const start of starts) {
    if (state.has(start)) continue;
    // A stack of its own: a chain may be longer than calls can nest.
    const path = [{ id: start, left: [...(out.get(start) ?? [])].reverse() }];
    state.set(start, "open");
    for (let top = path[0]; top; top = path[path.length - 1]) {
      const edge = top.left.pop();
      if (!edge) {
        state.set(top.id, "done");
        path.pop();
      } else if (state.get(edge.to) === "open") {
        back.add(edge);
      } else if (!state.has(edge.to)) {
        state.set(edge.to, "open");
        path.push({ id: edge.to, left: [...(out.get(edge.to) ?? [])].reverse() });
      }
    }
  }
  return back;
}
