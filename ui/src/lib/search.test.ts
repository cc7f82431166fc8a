import { expect, it } from "vitest";
import { parseSearch, stringifySearch } from "./search";

it.each([
  { ref: "2026" }, { ref: "1.0" }, { ref: "true" }, { ref: "fix/relabel" }, { ref: "\"quoted\"" },
  { path: "a b/?#&=%+/שלום", file: "null" },
])("gives back %j as text", (search) => expect(parseSearch(stringifySearch(search))).toEqual(search));

it("keeps slashes readable and leaves out what is empty", () => {
  expect(stringifySearch({ ref: "fix/relabel", path: undefined, file: "", version: 3 })).toBe("?ref=fix/relabel&version=3");
  expect(stringifySearch({})).toBe("");
});
