import { expect, it } from "vitest";
import { pageOf } from "./pageOf";

it.each([
  ["version:v_01", { to: "/data/versions/$version", params: { version: "v_01" } }],
  ["run:run_01", { to: "/runs/$id", params: { id: "run_01" } }],
  ["model:digits/3", { to: "/models/$name", params: { name: "digits" }, search: { version: 3 } }],
  ["model:digits", { to: "/models/$name", params: { name: "digits" } }],
  ["endpoint:digits", { to: "/endpoints/$name", params: { name: "digits" } }],
  ["planet:mars", undefined],
  ["", undefined],
])("leads %j to its page", (id, target) => expect(pageOf(id)).toEqual(target));
