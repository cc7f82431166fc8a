import { describe, expect, it } from "vitest";
import type { Node } from "../../api/nodes";
import { byPlace, inUse } from "./places";

const nothing = { cpu_milli: 0, memory_bytes: 0, accelerators: 0 };
const node = (name: string, rack?: string): Node => ({
  name, in: rack ? { rack } : undefined, spot: false, drained: false, total: nothing, free: nothing, accelerators: [], jobs: [],
});

describe("nodes by place", () => {
  it("puts those of one rack together, racks in the order of their numbers", () => {
    const places = byPlace([node("a", "r10"), node("b", "r2"), node("c", "r10")], ["rack"]);
    expect(places.map((place) => [place.name, place.nodes.map((one) => one.name)])).toEqual([["rack r2", ["b"]], ["rack r10", ["a", "c"]]]);
  });

  it("is one place without a name where nodes stand in nothing", () => {
    expect(byPlace([node("a"), node("b")], [])).toHaveLength(1);
    expect(byPlace([node("a")], [])[0]?.name).toBe("");
  });

  it("tells what is in use of an accelerator", () => {
    expect([1000, 600, 0, -400].map(inUse)).toEqual(["free", "40 % in use", "in use", "in use"]);
  });
});
