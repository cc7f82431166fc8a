import type { Node } from "../../api/nodes";

/** Nodes that stand in the same place, such as one rack. */
export interface Place {
  /** Such as "row a, rack r1"; empty where nodes stand in nothing. */
  name: string;
  nodes: Node[];
}

/** Nodes by where they stand, in the order of the places' names. */
export function byPlace(nodes: Node[], levels: string[]): Place[] {
  const places = new Map<string, Node[]>();
  for (const node of nodes) {
    const name = levels.map((level) => `${level} ${node.in?.[level] ?? "?"}`).join(", ");
    places.set(name, [...(places.get(name) ?? []), node]);
  }
  return [...places].map(([name, of]) => ({ name, nodes: of })).sort((one, other) => one.name.localeCompare(other.name, "en", { numeric: true }));
}

/** How much of an accelerator is in use, for who reads it aloud. */
export function inUse(freeMilli: number): string {
  if (freeMilli >= 1000) return "free";
  return freeMilli <= 0 ? "in use" : `${Math.round((1000 - freeMilli) / 10)} % in use`;
}
