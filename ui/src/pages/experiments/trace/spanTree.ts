// The spans of a trace as a tree, and the lines of it that are shown. Nothing here recurses: chains may be thousands deep.
import type { TraceSpan } from "../../../api/traces";

export interface Node {
  span: TraceSpan;
  depth: number;
  parent?: Node;
  children: Node[];
  /** Its place among its parent's children, counted from 1, and how many those are. */
  place: number;
  siblings: number;
  /** Spans below it, at any depth. */
  below: number;
  /** It names a parent that is not here, or none that leads to a root. */
  orphan: boolean;
}

export interface SpanTree {
  roots: Node[];
  /** Every node, each before its children. */
  all: Node[];
  byId: Map<string, Node>;
  errors: number;
  /** From the first beginning to the last end that is known, in microseconds. */
  length_us: number;
  /** Some span has not ended. */
  open: boolean;
}

/** Builds the tree. A span that occurs twice counts as it occurs last; one whose parent is missing, or that leads in a circle, is a root. */
export function treeOf(spans: TraceSpan[]): SpanTree {
  const byId = new Map<string, Node>();
  for (const span of spans) byId.set(span.id, { span, depth: 0, children: [], place: 1, siblings: 1, below: 0, orphan: false });
  const roots: Node[] = [];
  for (const node of byId.values()) {
    const parent = node.span.parent === undefined || node.span.parent === node.span.id ? undefined : byId.get(node.span.parent);
    if (parent) {
      node.parent = parent;
      parent.children.push(node);
    } else {
      node.orphan = node.span.parent !== undefined;
      roots.push(node);
    }
  }
  const all = walk(roots);
  // What no root leads to goes in circles: the first of each circle is let out of it.
  if (all.length < byId.size) {
    const seen = new Set(all);
    for (const node of byId.values()) {
      if (seen.has(node)) continue;
      if (node.parent) node.parent.children = node.parent.children.filter((one) => one !== node);
      node.parent = undefined;
      node.orphan = true;
      roots.push(node);
      for (const one of walk([node])) {
        seen.add(one);
        all.push(one);
      }
    }
    place(roots, 0);
  }
  for (let index = all.length - 1; index >= 0; index -= 1) {
    const node = all[index];
    if (node?.parent) node.parent.below += node.below + 1;
  }
  return { roots, all, byId, ...measured(all) };
}

/** Nodes from these on, each before its children, with their depths and places. */
function walk(from: Node[]): Node[] {
  const found: Node[] = [];
  place(from, 0);
  const stack = [...from].reverse();
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    found.push(node);
    place(node.children, node.depth + 1);
    for (let index = node.children.length - 1; index >= 0; index -= 1) stack.push(node.children[index] as Node);
  }
  return found;
}

function place(nodes: Node[], depth: number): void {
  nodes.forEach((node, index) => {
    node.depth = depth;
    node.place = index + 1;
    node.siblings = nodes.length;
  });
}

function measured(nodes: Node[]): Pick<SpanTree, "errors" | "length_us" | "open"> {
  let [errors, length_us, open] = [0, 0, false];
  for (const { span } of nodes) {
    if (span.status === "error") errors += 1;
    if (span.end_us === undefined) open = true;
    length_us = Math.max(length_us, span.start_us, span.end_us ?? 0);
  }
  return { errors, length_us, open };
}

/** The lines to show: nothing below what is closed. With `kept`, only those, and what leads to them, open or not. */
export function linesOf(tree: SpanTree, closed: ReadonlySet<string>, kept?: (node: Node) => boolean): Node[] {
  const shown = kept && leading(tree, kept);
  const lines: Node[] = [];
  let hidden = Infinity;
  for (const node of tree.all) {
    if (node.depth > hidden) continue;
    hidden = Infinity;
    if (shown) {
      if (shown.has(node)) lines.push(node);
      continue;
    }
    lines.push(node);
    if (closed.has(node.span.id)) hidden = node.depth;
  }
  return lines;
}

function leading(tree: SpanTree, kept: (node: Node) => boolean): Set<Node> {
  const found = new Set<Node>();
  for (const node of tree.all) {
    if (!kept(node)) continue;
    for (let at: Node | undefined = node; at && !found.has(at); at = at.parent) found.add(at);
  }
  return found;
}

/** Whether what somebody looks for is in a span's name, type, message or attributes. */
export function matches({ span }: Node, wanted: string): boolean {
  const has = (text: string | undefined): boolean => text !== undefined && text.toLowerCase().includes(wanted);
  if (has(span.name) || has(span.type) || has(span.message) || span.id === wanted) return true;
  for (const [key, text] of span.attributes) if (has(key) || has(text)) return true;
  return false;
}

/** What lies above a span, outermost first. */
export function above(node: Node): Node[] {
  const found: Node[] = [];
  for (let at = node.parent; at; at = at.parent) found.push(at);
  return found.reverse();
}
