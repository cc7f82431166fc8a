import { expect, it } from "vitest";
import { tokenIn } from "./token";

it.each([
  ["#token=corliss_abc", "corliss_abc"],
  ["#a=b&token=x%2By", "x+y"],
  ["#token=", undefined],
  ["#tokens=1", undefined],
  ["", undefined],
])("finds the token of %j", (fragment, token) => expect(tokenIn(fragment)).toBe(token));
