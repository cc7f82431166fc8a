// A layered left-to-right drawing of a directed graph: longest-path layers, placeholder nodes on long
// edges, a few barycentre sweeps against crossings. An edge that closes a cycle is laid out turned round
// and drawn back to the left. Pure, and deterministic: ties keep input order.
import { backEdges } from "./cycles";

export interface Size {
  nodeWidth: number;
  nodeHeight: number;
  gapX: number;
  gapY: number;
}

export interface Edge {
  from: string;
  to: string;
}

export interface PlacedNode {
  id: string;
  layer: number;
  row: number;
  x: number;
  y: number;
}

export interface PlacedEdge extends Edge {
  path: string;
}

export interface Layout {
  nodes: PlacedNode[];
  edges: PlacedEdge[];
  width: number;
  height: number;
}

interface Cell {
  key: string;
  real: boolean;
  ins: Cell[];
  outs: Cell[];
  layer: number;
  order: number;
  y: number;
}

const SWEEPS = 6;
/** A long edge passes a layer through a lane this much of a node's height. */
const LANE = 0.4;

export function layoutGraph(ids: string[], edges: Edge[], size: Size): Layout {
  const known = new Set(ids);
  const seen = new Set<string>();
  const usable = edges.filter(({ from, to }) => {
    const key = `${from}\n${to}`;
    if (from === to || !known.has(from) || !known.has(to) || seen.has(key)) return false;
    seen.add(key);
    return true;
  });
  const back = backEdges(ids, usable);
  const layerOf = layers(ids, usable.filter((edge) => !back.has(edge)));
  const cells = new Map(ids.map((id) => [id, cell(id, true, layerOf.get(id) ?? 0)]));
  const columns: Cell[][] = [];
  for (const one of cells.values()) (columns[one.layer] ??= []).push(one);
  const chains = usable.flatMap((edge) => chain(edge, cells, columns));
  for (const column of columns) column.forEach((one, index) => (one.order = index));
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) sweepOnce(columns, sweep % 2 === 0);
  const height = setRows(columns, size);
  return draw(columns, chains, size, height);
}

const cell = (key: string, real: boolean, layer: number): Cell => ({ key, real, ins: [], outs: [], layer, order: 0, y: 0 });

/** Longest path from a source; the edges have no cycle. */
function layers(ids: string[], edges: Edge[]): Map<string, number> {
  const incoming = new Map(ids.map((id) => [id, 0]));
  const next = new Map<string, string[]>(ids.map((id) => [id, []]));
  for (const { from, to } of edges) {
    incoming.set(to, (incoming.get(to) ?? 0) + 1);
    next.get(from)?.push(to);
  }
  const layer = new Map<string, number>();
  const ready = ids.filter((id) => incoming.get(id) === 0);
  ready.forEach((id) => layer.set(id, 0));
  for (let at = 0; at < ready.length; at += 1) {
    const id = ready[at] as string;
    for (const to of next.get(id) ?? []) {
      layer.set(to, Math.max(layer.get(to) ?? 0, (layer.get(id) ?? 0) + 1));
      const left = (incoming.get(to) ?? 0) - 1;
      incoming.set(to, left);
      if (left === 0) ready.push(to);
    }
  }
  return layer;
}

/** Links both ends through one placeholder per layer between them; answers the cells the edge passes, left to right. */
function chain(edge: Edge, cells: Map<string, Cell>, columns: Cell[][]): { edge: Edge; cells: Cell[] }[] {
  const ends = [cells.get(edge.from), cells.get(edge.to)];
  const [from, to] = (ends[0]?.layer ?? 0) > (ends[1]?.layer ?? 0) ? [ends[1], ends[0]] : ends;
  if (!from || !to) return [];
  const passed = [from];
  for (let layer = from.layer + 1; layer < to.layer; layer += 1) {
    const lane = cell(`${edge.from}>${edge.to}@${layer}`, false, layer);
    (columns[layer] ??= []).push(lane);
    passed.push(lane);
  }
  passed.push(to);
  passed.slice(1).forEach((one, index) => {
    const before = passed[index] as Cell;
    before.outs.push(one);
    one.ins.push(before);
  });
  return [{ edge, cells: passed }];
}

function sweepOnce(columns: Cell[][], forward: boolean): void {
  const sequence = forward ? columns : [...columns].reverse();
  for (const column of sequence) {
    const weight = new Map<Cell, number>();
    for (const one of column) {
      const around = forward ? one.ins : one.outs;
      const mean = around.reduce((sum, other) => sum + other.order, 0) / around.length;
      weight.set(one, around.length > 0 ? mean : one.order);
    }
    column.sort((a, b) => (weight.get(a) ?? 0) - (weight.get(b) ?? 0) || a.order - b.order);
    column.forEach((one, index) => (one.order = index));
  }
}

const tall = (one: Cell, size: Size): number => (one.real ? size.nodeHeight : size.nodeHeight * LANE);

/** Stacks each column and centres it on the tallest one; answers the height of the drawing. */
function setRows(columns: Cell[][], size: Size): number {
  const heights = columns.map((column) =>
    column.reduce((sum, one) => sum + tall(one, size) + size.gapY, -size.gapY));
  const height = Math.max(0, ...heights);
  columns.forEach((column, index) => {
    let y = (height - (heights[index] ?? 0)) / 2;
    for (const one of column) {
      one.y = y;
      y += tall(one, size) + size.gapY;
    }
  });
  return height;
}

function draw(columns: Cell[][], chains: { edge: Edge; cells: Cell[] }[], size: Size, height: number): Layout {
  const xOf = (layer: number): number => layer * (size.nodeWidth + size.gapX);
  const nodes = columns.flatMap((column) =>
    column.filter((one) => one.real).map((one, row) => ({ id: one.key, layer: one.layer, row, x: xOf(one.layer), y: one.y })));
  const edges = chains.map(({ edge, cells }) => ({ ...edge, path: cells[0]?.key === edge.from ? curve(cells, size, xOf) : curveBack(cells, size, xOf) }));
  const width = columns.length === 0 ? 0 : xOf(columns.length - 1) + size.nodeWidth;
  return { nodes, edges, width, height };
}

const round = (value: number): number => Math.round(value * 10) / 10;
const middleOf = (one: Cell, size: Size): number => round(one.y + tall(one, size) / 2);

function curve(cells: Cell[], size: Size, xOf: (layer: number) => number): string {
  const middle = (one: Cell): number => middleOf(one, size);
  const first = cells[0] as Cell;
  let path = `M${xOf(first.layer) + size.nodeWidth} ${middle(first)}`;
  cells.slice(1).forEach((one, index) => {
    const before = cells[index] as Cell;
    const start = xOf(before.layer) + size.nodeWidth;
    const end = xOf(one.layer);
    const bend = (start + end) / 2;
    path += `C${bend} ${middle(before)} ${bend} ${middle(one)} ${end} ${middle(one)}`;
    if (!one.real) path += `H${end + size.nodeWidth}`;
  });
  return path;
}

/** From the last cell's left side to the first one's right, a little lower than the edges that go right. */
function curveBack(cells: Cell[], size: Size, xOf: (layer: number) => number): string {
  const middle = (one: Cell): number => middleOf(one, size) + (one.real ? size.nodeHeight / 4 : 0);
  const last = cells[cells.length - 1] as Cell;
  let path = `M${xOf(last.layer)} ${middle(last)}`;
  for (let index = cells.length - 1; index > 0; index -= 1) {
    const [before, one] = [cells[index] as Cell, cells[index - 1] as Cell];
    const end = xOf(one.layer) + size.nodeWidth;
    const bend = (xOf(before.layer) + end) / 2;
    path += `C${bend} ${middle(before)} ${bend} ${middle(one)} ${end} ${middle(one)}`;
    if (!one.real) path += `H${xOf(one.layer)}`;
  }
  return path;
}

export type Direction = "left" | "right" | "up" | "down";

/** The node that an arrow key moves to: along the column, or to the nearest node of the next column. */
export function neighbour(layout: Layout, id: string, direction: Direction): string | undefined {
  const here = layout.nodes.find((node) => node.id === id);
  if (!here) return layout.nodes[0]?.id;
  const along = direction === "up" || direction === "down";
  const step = direction === "up" || direction === "left" ? -1 : 1;
  if (along) return layout.nodes.find((node) => node.layer === here.layer && node.row === here.row + step)?.id;
  const column = layout.nodes.filter((node) => node.layer === here.layer + step);
  const linked = column.filter((node) => layout.edges.some((edge) =>
    step > 0 ? edge.from === id && edge.to === node.id : edge.to === id && edge.from === node.id));
  const candidates = linked.length > 0 ? linked : column;
  return [...candidates].sort((a, b) => Math.abs(a.y - here.y) - Math.abs(b.y - here.y))[0]?.id;
}
