import { expect, it } from "vitest";
import { toCsv } from "./csv";

it("quotes what would be read as something else", () => {
  expect(toCsv([["a", "b,c", 'say "x"'], ["two\nlines", "", "é"]])).toBe('a,"b,c","say ""x"""\r\n"two\nlines",,é\r\n');
  expect(toCsv([])).toBe("");
});
