import { expect, it } from "vitest";
import type { Ref } from "../../api/data";
import { kindOf, refLabel, refOptions, refProblem } from "./refs";

const ref = (kind: Ref["kind"], name: string): Ref => ({ kind, name, commit: "c_0", updated_ms: 1, protected: false });
const dataset = {
  default_branch: "main",
  branches: [ref("branch", "alpha"), ref("branch", "fix/Relabel"), ref("branch", "main")],
  tags: [ref("tag", "v1.0"), ref("tag", "2026")],
};
const names = (wanted: string): string[] => refOptions(dataset, wanted).options.map((one) => `${one.kind} ${one.name}`);

it("offers the default branch first, then branches, then tags", () => {
  expect(names("")).toEqual(["branch main", "branch alpha", "branch fix/Relabel", "tag v1.0", "tag 2026"]);
});

it("finds by any part, whatever the case, and offers what was typed", () => {
  expect(names("relabel")).toEqual(["branch fix/Relabel", "other relabel"]);
  expect(names(" main ")).toEqual(["branch main"]);
  expect(names("main~2")).toEqual(["other main~2"]);
  expect(names("c_0123456789ab")).toEqual(["other c_0123456789ab"]);
});

it("shows the first of many and counts the rest", () => {
  const many = { ...dataset, tags: Array.from({ length: 500 }, (_, index) => ref("tag", `t${index}`)) };
  expect(refOptions(many, "t").options).toHaveLength(61);
  expect(refOptions(many, "t").more).toBe(440);
});

it("tells what a ref is", () => {
  expect([kindOf(dataset, "main"), kindOf(dataset, "v1.0"), kindOf(dataset, "main~1")]).toEqual(["branch", "tag", "other"]);
  expect(refLabel(`c_${"ab".repeat(32)}`)).toBe("c_…ababab");
  expect(refLabel("a-rather-long-branch/name")).toBe("a-rather-long-branch/name");
});

it.each(["main", "fix/x-1", "v1.0", "2026-11", "a/b/c"])("takes %s for a name", (name) => expect(refProblem(name)).toBeUndefined());

it.each(["latest", "v_012345", "c_0123456789ab", "a/", "/a", "a//b", "..", "a b", "a@b", "a~1", "-a", "x".repeat(121)])(
  "refuses %s with a reason", (name) => expect(refProblem(name)).toMatch(/\.$/));
