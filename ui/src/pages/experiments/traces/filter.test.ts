import { expect, it } from "vitest";
import { filterOf, joined, ofSession } from "./filter";

it("takes filters as they are, ids as ids, and words as what was said", () => {
  expect(filterOf(" status = 'ERROR' ")).toBe("status = 'ERROR'");
  expect(filterOf("tags.a IS NULL")).toBe("tags.a IS NULL");
  expect(filterOf(`tr-${"0a".repeat(16)}`)).toBe(`request_id = 'tr-${"0a".repeat(16)}'`);
  expect(filterOf("refund it's")).toBe("text ILIKE '%refund%' AND text ILIKE '%it''s%'");
  expect(filterOf("  ")).toBe("");
});

it("joins filters and quotes what is in them", () => {
  expect(joined("", "a = 'b'", "")).toBe("a = 'b'");
  expect(joined("a = 'b'", "c = 'd'")).toBe("a = 'b' AND c = 'd'");
  expect(ofSession("it's")).toBe("metadata.`mlflow.trace.session` = 'it''s'");
});
