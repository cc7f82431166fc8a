import { afterEach, expect, it, vi } from "vitest";
import { ApiError } from "./errors";
import { chat } from "./inference";

const chunk = (content: string): string => `data: ${JSON.stringify({ choices: [{ delta: { content }, finish_reason: null }] })}\n\n`;

/** What the console makes of an answer with this body. */
async function heard(body: string, signal = new AbortController().signal): Promise<{ text: string; error?: unknown }> {
  vi.stubGlobal("fetch", async () => new Response(body));
  let text = "";
  try {
    for await (const delta of chat("m", [], {}, signal)) text += delta.text ?? "";
    return { text };
  } catch (error) {
    return { text, error };
  }
}

afterEach(() => vi.unstubAllGlobals());

it("takes an answer for whole only where the server says so", async () => {
  expect(await heard(`${chunk("a")}${chunk("b")}data: [DONE]\n\n`)).toEqual({ text: "ab" });
  const cut = await heard(`${chunk("a")}${chunk("b")}`);
  expect(cut.text).toBe("ab");
  expect(cut.error).toBeInstanceOf(ApiError);
  expect((cut.error as ApiError).report.code).toBe("answer_cut");
});

it("shows an error event as the error that it is, after what was written before", async () => {
  const failed = await heard(`${chunk("a")}data: {"error": {"message": "the engine ended", "code": "engine_gone"}}\n\n`);
  expect(failed.text).toBe("a");
  expect((failed.error as ApiError).report).toMatchObject({ code: "engine_gone", message: "the engine ended" });
});

it("takes the stop button for no error", async () => {
  const stop = new AbortController();
  stop.abort();
  expect((await heard(chunk("a"), stop.signal)).error).toBeUndefined();
});
