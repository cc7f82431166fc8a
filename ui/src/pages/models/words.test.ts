import { expect, it } from "vitest";
import type { ModelEvent } from "../../api/models";
import { demands, parts, told, worst } from "./words";

const none = { damaged: 0, unsafe: 0, verified: 0, unknown: 3, unread: 0 };

it("says the worst that was found in files", () => {
  expect(worst(undefined)).toBeUndefined();
  expect(worst(none)).toBeUndefined();
  expect(worst({ ...none, verified: 2 })).toEqual({ state: "verified", words: "2 files verified" });
  expect(worst({ ...none, verified: 2, unsafe: 1 })).toEqual({ state: "unsafe", words: "1 pickle: loading runs code" });
  expect(worst({ ...none, verified: 2, unsafe: 1, damaged: 1 })).toEqual({ state: "damaged", words: "1 file damaged" });
});

it("says what a protected model demands", () => {
  const set = { approvals: 2, aliases: [], self_approval: false, set_by: "root", set_ms: 1 };
  expect(demands(set)).toBe("A version needs 2 approvals, not by whoever registered it, before it is served or gets any alias.");
  expect(demands({ ...set, approvals: 1, aliases: ["champion"], self_approval: true })).toBe(
    "A version needs 1 approval, also by whoever registered it, before it is served or gets the alias champion.",
  );
});

it("tells each line of the log", () => {
  const line = (action: string, details: Record<string, unknown> = {}, version?: number): string =>
    told({ sequence: 1, at_ms: 1, actor: "ana", action, details, version } satisfies ModelEvent);
  expect(line("moved_in", { from: "sqlite:///mlflow.db" }, 2)).toBe("moved version 2 in from sqlite:///mlflow.db");
  expect(line("alias_set", { alias: "champion", from: null, to: 2 }, 2)).toBe("pointed champion to version 2");
  expect(line("alias_set", { alias: "champion", from: 1, to: 2 }, 2)).toBe("moved champion from version 1 to 2");
  expect(line("alias_set", { alias: "champion", from: 2, to: 2 }, 2)).toBe("pointed champion to version 2 again");
  expect(line("rejected", { reason: "fails on sevens" }, 3)).toBe("rejected version 3: fails on sevens");
  expect(line("approved", { reason: "" }, 3)).toBe("approved version 3");
  expect(line("deployed", { endpoint: "digits", reference: "digits@champion", allow_pickle: true }, 3)).toBe("deployed version 3 to digits (digits@champion), with pickles allowed");
  expect(line("tag_set", { key: "team", value: "red" })).toBe("set the tag team to red");
  expect(line("something_new", {}, 4)).toBe("something new version 4");
});

it("reads signatures of columns and of tensors", () => {
  expect(parts('[{"type": "double", "name": "a", "required": true}, {"type": "string", "name": "b", "required": false}]')).toEqual([
    { name: "a", type: "double" },
    { name: "b", type: "string, optional" },
  ]);
  expect(parts('[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 64]}}]')).toEqual([{ name: "(all)", type: "float32 (any × 64)" }]);
  expect([parts(undefined), parts("{"), parts("{}"), parts("[1, 2]")?.[1]]).toEqual([undefined, undefined, undefined, { name: "#2", type: "unknown" }]);
});
