import { expect, it } from "vitest";
import { messagesOf, optionsOf } from "./useChat";

it("sends the system text first, then what was said, and nothing that is empty", () => {
  const turns = [{ role: "user" as const, content: "a" }, { role: "assistant" as const, content: "" }];
  expect(messagesOf(turns, { system: " be brief ", text: "b\n" })).toEqual([{ role: "system", content: "be brief" }, { role: "user", content: "a" }, { role: "user", content: "b" }]);
  expect(messagesOf([], { system: "", text: " " })).toEqual([]);
});

it("leaves to the server what is empty, and sends even what the server will refuse", () => {
  expect(optionsOf({ max_tokens: "", temperature: " " })).toEqual({ max_tokens: undefined, temperature: undefined });
  expect(optionsOf({ max_tokens: "-1", temperature: "0" })).toEqual({ max_tokens: -1, temperature: 0 });
});
