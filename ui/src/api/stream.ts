// Reads a response as server-sent events until it ends or the signal aborts.
import { send, type RequestOptions } from "./client";
import { unreachable } from "./errors";
import { SseParser, type ServerEvent } from "./sse";

export async function* events(path: string, options: RequestOptions): AsyncGenerator<ServerEvent> {
  const response = await send(path, { ...options, accept: "text/event-stream" });
  const reader = response.body?.getReader();
  if (!reader) return;
  const decoder = new TextDecoder();
  const parser = new SseParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      yield* parser.push(done ? decoder.decode() : decoder.decode(value, { stream: true }));
      if (done) return;
    }
  } catch (error) {
    if (options.signal?.aborted) return;
    throw error instanceof TypeError ? unreachable() : error;
  } finally {
    reader.cancel().catch(() => undefined);
  }
}
