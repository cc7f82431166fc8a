import { afterEach, expect, it, vi } from "vitest";
import { address, request } from "./client";
import { ApiError } from "./errors";
import { chat, type ChatDelta } from "./inference";

afterEach(() => vi.unstubAllGlobals());

function answer(status: number, body: string | Uint8Array[]): ReturnType<typeof vi.fn> {
  const stream = typeof body === "string" ? body : new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of body) controller.enqueue(piece);
      controller.close();
    },
  });
  const fetch = vi.fn(() => Promise.resolve(new Response(stream, { status })));
  vi.stubGlobal("fetch", fetch);
  return fetch;
}

async function thrown(work: Promise<unknown>): Promise<ApiError> {
  const error: unknown = await work.then(() => undefined, (reason: unknown) => reason);
  expect(error).toBeInstanceOf(ApiError);
  return error as ApiError;
}

it("builds addresses without empty parameters", () => {
  expect(address("/x", { a: 1, b: undefined, c: "", d: "é&=" })).toBe("/x?a=1&d=%C3%A9%26%3D");
  expect(address("/x")).toBe("/x");
});

it("sends the console's header with every write, and the body as JSON", async () => {
  const fetch = answer(202, '{"id":"run_1"}');
  await expect(request("/api/v1/runs/run_0/rerun", { method: "POST", body: { from_step: "train" } })).resolves.toEqual({ id: "run_1" });
  expect(fetch).toHaveBeenCalledWith("/api/v1/runs/run_0/rerun", expect.objectContaining({
    method: "POST",
    body: '{"from_step":"train"}',
    headers: { accept: "application/json", "content-type": "application/json", "x-corliss-console": "1" },
  }));
});

it("takes an empty answer for nothing", async () => {
  answer(200, "");
  await expect(request("/x")).resolves.toBeUndefined();
});

it("throws what the server said, and tells a lost server from a refusal", async () => {
  answer(401, '{"error":{"code":"token_missing","message":"no token","retryable":false}}');
  expect((await thrown(request("/x"))).signedOut).toBe(true);
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")));
  expect((await thrown(request("/x"))).unreachable).toBe(true);
});

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

async function converse(): Promise<ChatDelta[]> {
  const deltas: ChatDelta[] = [];
  for await (const delta of chat("m", [], { max_tokens: 1, temperature: 0 }, new AbortController().signal)) deltas.push(delta);
  return deltas;
}

it("streams a chat, even when a character is cut in two", async () => {
  const whole = utf8(
    'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\ndata: {"choices":[{"delta":{"content":"é"},"finish_reason":null}]}\n\n' +
    'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n' +
    'data: [DONE]\n\ndata: {"choices":[{"delta":{"content":"after the end"}}]}\n\n',
  );
  const cut = whole.indexOf(0xc3) + 1;
  answer(200, [whole.slice(0, cut), whole.slice(cut)]);
  const deltas = await converse();
  expect(deltas.map((delta) => delta.text).filter(Boolean)).toEqual(["é"]);
  expect(deltas.find((delta) => delta.finish_reason)?.finish_reason).toBe("stop");
  expect(deltas[deltas.length - 1]?.usage?.completion_tokens).toBe(1);
});

it("throws an error that arrives in the middle of a chat", async () => {
  answer(200, [utf8('data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {"error":{"message":"the engine stopped","code":"engine_lost"}}\n\n')]);
  expect((await thrown(converse())).report).toMatchObject({ code: "engine_lost", message: "the engine stopped" });
});
