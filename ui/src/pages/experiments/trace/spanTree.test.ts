import { expect, it } from "vitest";
import { aSpan } from "./aSpan";
import { above, linesOf, matches, treeOf } from "./spanTree";

const ids = (nodes: { span: { id: string } }[]): string => nodes.map((node) => node.span.id).join("");

it("puts children behind their parents, with depths and places", () => {
  const tree = treeOf([aSpan("a"), aSpan("b", "a"), aSpan("c", "b"), aSpan("d", "a", { status: "error" })]);
  expect(ids(tree.all)).toBe("abcd");
  expect(tree.all.map((node) => [node.depth, node.place, node.siblings, node.below])).toEqual([[0, 1, 1, 3], [1, 1, 2, 1], [2, 1, 1, 0], [1, 2, 2, 0]]);
  expect(tree.errors).toBe(1);
  expect(ids(above(tree.byId.get("c")!))).toBe("ab");
});

it("keeps spans whose parent is missing, that are their own parent, and that go in circles", () => {
  const tree = treeOf([aSpan("a", "gone"), aSpan("b", "b"), aSpan("c", "d"), aSpan("d", "c"), aSpan("e", "d")]);
  expect(ids(tree.all)).toBe("abcde");
  expect(ids(tree.roots)).toBe("abc");
  expect(tree.roots.map((node) => node.orphan)).toEqual([true, true, true]);
  expect(tree.byId.get("e")?.depth).toBe(2);
});

it("takes the last of what came twice, and chains of any depth", () => {
  expect(treeOf([aSpan("a", undefined, { name: "old" }), aSpan("a", undefined, { name: "new" })]).all.map((node) => node.span.name)).toEqual(["new"]);
  const chain = treeOf(Array.from({ length: 50_000 }, (_, at) => aSpan(String(at), at === 0 ? undefined : String(at - 1))));
  expect(chain.all.at(-1)?.depth).toBe(49_999);
  expect(chain.roots[0]?.below).toBe(49_999);
});

it("measures from the first beginning to the last end, and knows what goes on", () => {
  const tree = treeOf([aSpan("a", undefined, { start_us: 0, end_us: 10 }), aSpan("b", "a", { start_us: 5, end_us: 25 }), aSpan("c", "a", { start_us: 30, end_us: undefined })]);
  expect([tree.length_us, tree.open]).toEqual([30, true]);
});

it("hides what is below a closed span, and shows what leads to what is looked for", () => {
  const tree = treeOf([aSpan("a"), aSpan("b", "a"), aSpan("c", "b"), aSpan("d", "a"), aSpan("e")]);
  expect(ids(linesOf(tree, new Set(["b"])))).toBe("abde");
  expect(ids(linesOf(tree, new Set(["a"])))).toBe("ae");
  expect(ids(linesOf(tree, new Set(["a"]), (node) => node.span.id === "c"))).toBe("abc");
});

it("looks into names, types, messages and attributes", () => {
  const [node] = treeOf([aSpan("a", undefined, { name: "Ask", type: "LLM", message: "no answer", attributes: new Map([["mlflow.spanInputs", '{"city":"Paris"}']]) })]).all;
  for (const wanted of ["ask", "llm", "no ans", "paris", "spaninputs"]) expect(matches(node!, wanted)).toBe(true);
  expect(matches(node!, "london")).toBe(false);
});
