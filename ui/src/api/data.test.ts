import { afterEach, expect, it, vi } from "vitest";
import { mayWriteData } from "../lib/may";
import { data, fileAddress, type Ref } from "./data";
import { ApiError } from "./errors";
import { tables, type Preview } from "./tables";

afterEach(() => vi.unstubAllGlobals());

function answer(status: number, body: unknown): ReturnType<typeof vi.fn> {
  const fetch = vi.fn(() => Promise.resolve(new Response(JSON.stringify(body), { status })));
  vi.stubGlobal("fetch", fetch);
  return fetch;
}

const error = (code: string) => ({ error: { code, message: "no", retryable: false } });

it("keeps every character of a path in its address", () => {
  expect(fileAddress("v_1", "a b/#?%/שלום.txt")).toBe("/api/v1/data/versions/v_1/files/a%20b/%23%3F%25/%D7%A9%D7%9C%D7%95%D7%9D.txt");
});

it("sends a branch with a slash as one part, and deletes only what was seen", async () => {
  const fetch = answer(200, {});
  const ref: Ref = { kind: "branch", name: "fix/x", commit: "c_1", updated_ms: 1, protected: false };
  await data.deleteRef("digits", ref);
  expect(fetch).toHaveBeenCalledWith("/api/v1/data/datasets/digits/branches/fix%2Fx?expected=c_1", expect.objectContaining({ method: "DELETE" }));
  await data.protect("digits", "fix/x", true);
  expect(fetch).toHaveBeenLastCalledWith("/api/v1/data/datasets/digits/branches/fix%2Fx", expect.objectContaining({ method: "PATCH", body: '{"protected":true}' }));
});

it("names a ref within its dataset", async () => {
  const fetch = answer(200, { items: [] });
  await data.log("digits", "fix/x~1", 50);
  expect(fetch).toHaveBeenCalledWith("/api/v1/data/log?reference=digits%40fix%2Fx%7E1&limit=50", expect.anything());
});

it("sends every column of a key", async () => {
  const fetch = answer(200, {});
  await tables.diff("v_1", "v_2", "a.csv", ["a,b", "c"]);
  expect(fetch).toHaveBeenCalledWith("/api/v1/data/diff/table?from=v_1&to=v_2&path=a.csv&key=a%2Cb&key=c", expect.anything());
});

it("takes a route that is not there for no preview, and a file that is not there for an error", async () => {
  answer(404, error("route_not_found"));
  expect(await tables.preview("v_1", "a.csv", 0, 50)).toBeUndefined();
  expect(await data.storage()).toBeUndefined();
  answer(404, error("file_not_found"));
  await expect(tables.preview("v_1", "a.csv", 0, 50)).rejects.toBeInstanceOf(ApiError);
});

it("reads a preview as the server writes it", async () => {
  const preview: Preview = {
    kind: "table", size_bytes: 20, format: "csv",
    schema: { format: "csv", columns: [{ name: "id", type: "integer", nullable: false, nulls: 0 }], rows: 1, sampled_rows: 1, dialect: { delimiter: ",", header: true }, notices: [] },
    rows: { columns: ["id"], columns_total: 1, offset: 0, rows: [[{ text: "1" }]], rows_total: 1, next_offset: null, notices: [] },
  };
  const fetch = answer(200, preview);
  expect(await tables.preview("v_1", "a b.csv", 0, 50)).toEqual(preview);
  expect(fetch).toHaveBeenCalledWith("/api/v1/data/versions/v_1/preview/a%20b.csv?offset=0&limit=50", expect.anything());
});

it("offers changes to people, not to a task's own token", () => {
  expect(["data-scientist", "ml-engineer", "platform-admin", "workload", undefined].map(mayWriteData)).toEqual([true, true, true, false, false]);
});
