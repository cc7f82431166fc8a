import { describe, expect, it } from "vitest";
import { SseParser, type ServerEvent } from "./sse";

const all = (chunks: string[]): ServerEvent[] => {
  const parser = new SseParser();
  return chunks.flatMap((chunk) => parser.push(chunk));
};

describe("SseParser", () => {
  it("reads named events, ids and several data lines", () => {
    expect(all(["event: run\nid: 7\ndata: {\ndata: }\n\n"])).toEqual([{ event: "run", data: "{\n}", id: "7" }]);
  });

  it("gives the same events however the text is cut", () => {
    const text = ": hello\r\n\r\nevent: line\r\ndata: é one\r\n\r\ndata: two\n\ndata:three\rdata: four\r\r\nevent: x\ndata: [DONE]\n\n";
    const whole = all([text]);
    expect(whole.map((event) => event.data)).toEqual(["é one", "two", "three\nfour", "[DONE]"]);
    for (let cut = 1; cut < text.length; cut += 1) expect(all([text.slice(0, cut), text.slice(cut)])).toEqual(whole);
    expect(all([...text])).toEqual(whole);
  });

  it("does not emit an event without data, nor one that is cut off", () => {
    expect(all(["event: ping\n\n", "data: unfinished\n"])).toEqual([]);
  });

  it("skips a byte order mark and unknown fields, keeps one leading space only", () => {
    expect(all(["\ufeffdata:  two\nretry: 5\nfoo\n\n"])).toEqual([{ event: "message", data: " two", id: undefined }]);
  });

  it("keeps the last id for later events", () => {
    expect(all(["id: 1\ndata: a\n\ndata: b\n\n"]).map((event) => event.id)).toEqual(["1", "1"]);
  });
});
