import { expect, it } from "vitest";
import { costOf, spansOf, tokensOf, valueOf } from "./traces";

const id = (byte: number): string => btoa(String.fromCharCode(...Array.from({ length: 8 }, () => byte)));
const line = (byte: number, parent: number | undefined, start: string, end: string | null, more = ""): string =>
  `{"trace_id": "BwcHBwcHBwcHBwcHBwcHBw==", "span_id": "${id(byte)}", "parent_span_id": ${parent === undefined ? "null" : `"${id(parent)}"`}, "name": "s${byte}", "kind": "SPAN_KIND_CLIENT", "start_time_unix_nano": ${start}, "end_time_unix_nano": ${end}, "events": [], "status": {"code": "STATUS_CODE_OK", "message": ""}, "attributes": {${more}}, "links": []}`;

it("reads spans to the nanosecond, by the time they began", () => {
  const file = `{"spans":[${line(2, 1, "1795340826221000257", "1795340826221001257")},${line(1, undefined, "1795340826221000001", null)}]}`;
  const [first, second] = spansOf(file);
  expect(first).toMatchObject({ id: "0101010101010101", parent: undefined, start_us: 0, end_us: undefined, kind: "client", status: "ok", type: "UNKNOWN" });
  expect(second).toMatchObject({ id: "0202020202020202", parent: "0101010101010101", start_us: 0.256, end_us: 1.256 });
});

it("leaves alone what only looks like a time of a span", () => {
  const text = JSON.stringify(JSON.stringify({ start_time_unix_nano: 5 }));
  const [span] = spansOf(`{"spans":[${line(1, undefined, "1795340826221000001", null, `"mlflow.spanInputs": ${text}, "mlflow.spanType": "\\"LLM\\""`)}]}`);
  expect(span?.attributes.get("mlflow.spanInputs")).toBe('{"start_time_unix_nano":5}');
  expect(span?.type).toBe("LLM");
  expect(spansOf('{"spans":[]}')).toEqual([]);
});

it("reads what was counted, also where it is a text once more", () => {
  expect(tokensOf('{"input_tokens": 3, "output_tokens": 0}')).toEqual({ input: 3, output: 0, total: undefined, cached: undefined });
  expect(tokensOf('"{\\"total_tokens\\": 7}"').total).toBe(7);
  expect(tokensOf("[1]")).toEqual({});
  expect(tokensOf(undefined)).toEqual({});
  expect(costOf('{"total_cost": 0.25}')).toBe(0.25);
  expect(costOf("cut off {")).toBeUndefined();
  expect(valueOf("NaN")).toBe("NaN");
});
