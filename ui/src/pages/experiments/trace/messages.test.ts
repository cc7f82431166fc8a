import { expect, it } from "vitest";
import { documentsOf, messagesOf } from "./messages";

const says = (value: unknown): string | undefined =>
  messagesOf(value)?.map((one) => `${one.role}: ${one.parts.map((part) => (part.kind === "text" ? part.text : part.kind === "call" ? `${part.name}(${JSON.stringify(part.arguments)})` : part.kind === "result" ? `-> ${JSON.stringify(part.content)}` : `[${part.name}]`)).join(" ")}`).join(" | ");

it("reads requests and answers of a chat", () => {
  expect(says({ model: "m", messages: [{ role: "developer", content: "be brief" }, { role: "user", content: [{ type: "text", text: "see" }, { type: "image_url", image_url: { url: "https://x" } }] }] })).toBe("system: be brief | user: see [image url]");
  expect(says({ choices: [{ message: { role: "assistant", content: null, tool_calls: [{ id: "1", function: { name: "add", arguments: '{"a":1}' } }] } }] })).toBe('assistant: add({"a":1})');
  expect(says([{ role: "tool", tool_call_id: "1", content: "[2]" }])).toBe("tool: -> [2]");
});

it("reads items of responses, blocks, parts and LangChain's messages", () => {
  expect(says({ instructions: "be brief", input: "hi" })).toBe("system: be brief | user: hi");
  expect(says({ output: [{ type: "function_call", name: "f", arguments: "{}", call_id: "c" }, { type: "message", role: "assistant", content: [{ type: "output_text", text: "done" }] }] })).toBe("assistant: f({}) | assistant: done");
  expect(says({ system: "s", messages: [{ role: "assistant", content: [{ type: "tool_use", name: "f", input: { a: 1 } }] }, { role: "user", content: [{ type: "tool_result", tool_use_id: "x", content: "3" }] }] })).toBe('system: s | assistant: f({"a":1}) | user: -> 3');
  expect(says([{ role: "user", parts: [{ type: "text", content: "hello" }] }])).toBe("user: hello");
  expect(says({ messages: [[{ type: "human", content: "q" }, { type: "ai", content: "a" }]] })).toBe("user: q | assistant: a");
  expect(says({ generations: [[{ text: "a", message: { type: "ai", content: "a" } }]] })).toBe("assistant: a");
});

it("leaves alone what is no conversation", () => {
  for (const value of [null, 3, "x", [], {}, { messages: [] }, { messages: [1] }, { question: "q" }, [{ a: 1 }], { input: [1, 2] }, [{ role: "admin", content: "x" }], { choices: [1] }, { type: "text", content: "x" }]) expect(messagesOf(value)).toBeUndefined();
});

it("reads what a retriever found", () => {
  expect(documentsOf([{ page_content: "p", metadata: { source: "a", rank: 1 } }])).toEqual([{ content: "p", about: [["source", "a"], ["rank", "1"]] }]);
  expect(documentsOf([{ page_content: "p" }, { other: 1 }])).toBeUndefined();
  expect(documentsOf([{ role: "user", content: "hello" }])).toBeUndefined();
});
