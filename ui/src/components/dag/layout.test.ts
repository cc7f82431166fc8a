import { describe, expect, it } from "vitest";
import { layoutGraph, neighbour, type Edge } from "./layout";

const size = { nodeWidth: 100, nodeHeight: 40, gapX: 50, gapY: 10 };
const edge = (from: string, to: string): Edge => ({ from, to });
const at = (layout: ReturnType<typeof layoutGraph>, id: string) => {
  const node = layout.nodes.find((one) => one.id === id);
  if (!node) throw new Error(`no node ${id}`);
  return node;
};

const layersOf = (layout: ReturnType<typeof layoutGraph>) => Object.fromEntries(layout.nodes.map((node) => [node.id, node.layer]));

describe("layoutGraph", () => {
  it("draws nothing for nothing", () => {
    expect(layoutGraph([], [], size)).toEqual({ nodes: [], edges: [], width: 0, height: 0 });
  });

  it("puts each node right of all it needs", () => {
    const edges = [edge("split", "train"), edge("train", "evaluate"), edge("split", "evaluate")];
    const layout = layoutGraph(["evaluate", "train", "split"], edges, size);
    expect(layout.nodes.map((node) => [node.id, node.layer]).sort()).toEqual([["evaluate", 2], ["split", 0], ["train", 1]]);
    expect(layout.edges).toHaveLength(3);
    expect(layout.width).toBe(400);
    for (const { from, to } of edges) expect(at(layout, from).x).toBeLessThan(at(layout, to).x);
  });

  it("leads a long edge past the nodes between", () => {
    const layout = layoutGraph(["a", "b", "c"], [edge("a", "b"), edge("b", "c"), edge("a", "c")], size);
    const long = layout.edges.find((one) => one.from === "a" && one.to === "c");
    expect(long?.path).toContain("H250");
    const lane = Number(/ (\d+(?:\.\d+)?)H250/.exec(long?.path ?? "")?.[1]);
    const b = at(layout, "b");
    expect(lane < b.y || lane > b.y + size.nodeHeight).toBe(true);
  });

  it("never overlaps two nodes", () => {
    const ids = Array.from({ length: 40 }, (_, index) => `n${index}`);
    const edges = ids.flatMap((id, index) => [2 * index + 1, 3 * index + 2].filter((to) => to < 40).map((to) => edge(id, `n${to}`)));
    const { nodes } = layoutGraph(ids, edges, size);
    for (const a of nodes) for (const b of nodes) {
      if (a.id !== b.id && a.x === b.x) expect(Math.abs(a.y - b.y)).toBeGreaterThanOrEqual(size.nodeHeight);
    }
    expect(nodes).toHaveLength(40);
  });

  it("uncrosses two parallel chains", () => {
    const layout = layoutGraph(["a", "b", "y", "x"], [edge("a", "x"), edge("b", "y")], size);
    expect(at(layout, "a").y < at(layout, "b").y).toBe(at(layout, "x").y < at(layout, "y").y);
  });

  it("ignores loops, repeats and unknown ends, and still shows nodes of a cycle", () => {
    const layout = layoutGraph(["a", "b", "c"], [edge("a", "a"), edge("a", "zz"), edge("b", "c"), edge("c", "b"), edge("a", "b"), edge("a", "b")], size);
    expect(layersOf(layout)).toEqual({ a: 0, b: 1, c: 2 });
    expect(layout.edges.filter((one) => one.from === "a")).toHaveLength(1);
  });

  it("keeps what follows a cycle in its place, with every edge", () => {
    // A run that takes its own output in again, as the lineage of a resumed step has it.
    const edges = [edge("v1", "run"), edge("run", "v1"), edge("model", "endpoint"), edge("run", "model"), edge("data", "run")];
    for (const ids of [["endpoint", "v1", "run", "model", "data"], ["data", "run", "v1", "model", "endpoint"]]) {
      const layout = layoutGraph(ids, edges, size);
      expect(layersOf(layout)).toEqual({ data: 0, run: 1, v1: 2, model: 2, endpoint: 3 });
      expect(layout.edges.map(({ from, to }) => `${from}>${to}`).sort()).toEqual(["data>run", "model>endpoint", "run>model", "run>v1", "v1>run"]);
    }
  });

  it("draws the edge that closes a cycle back to the left, past what lies between", () => {
    const layout = layoutGraph(["a", "b", "c"], [edge("a", "b"), edge("b", "c"), edge("c", "a")], size);
    expect(layersOf(layout)).toEqual({ a: 0, b: 1, c: 2 });
    const path = layout.edges.find((one) => one.from === "c")?.path ?? "";
    expect(path).toMatch(/^M300 /);
    expect(path).toContain("H150C");
    expect(path).toMatch(/ 100 \d+(\.\d+)?$/);
  });

  it("lays out a fan of a thousand quickly", () => {
    const ids = ["start", ...Array.from({ length: 1000 }, (_, index) => `s${index}`), "end"];
    const edges = ids.slice(1, -1).flatMap((id) => [edge("start", id), edge(id, "end")]);
    const layout = layoutGraph(ids, edges, size);
    expect(layout.nodes).toHaveLength(1002);
    expect(at(layout, "end").layer).toBe(2);
  });
});

describe("neighbour", () => {
  const layout = layoutGraph(["a", "b", "c", "d"], [edge("a", "b"), edge("a", "c"), edge("c", "d")], size);
  it("moves along edges and columns, and stops at the border", () => {
    expect(neighbour(layout, "b", "down")).toBe("c");
    expect(neighbour(layout, "c", "up")).toBe("b");
    expect(neighbour(layout, "d", "left")).toBe("c");
    expect(neighbour(layout, "d", "right")).toBeUndefined();
    expect(neighbour(layout, "gone", "left")).toBe("a");
  });
});
