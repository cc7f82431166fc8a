import { describe, expect, it } from "vitest";
import { asApiError, parseError, sentence, unreachable } from "./errors";

describe("parseError", () => {
  it("reads the native shape", () => {
    const body = { error: { code: "run_not_found", message: "no run has the id 'x'", hint: "List them.", field: "id", retryable: false } };
    const error = parseError(404, JSON.stringify(body));
    expect(error.report).toEqual(body.error);
    expect(error.status).toBe(404);
    expect(error.message).toBe("no run has the id 'x'");
  });

  it("reads OpenAI, Open Inference Protocol and MLflow shapes", () => {
    expect(parseError(400, '{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":null}}').report)
      .toMatchObject({ code: "invalid_request_error", message: "too long", field: "messages" });
    expect(parseError(400, '{"error":"shape does not match"}').report).toMatchObject({ message: "shape does not match", code: "http_400" });
    expect(parseError(404, '{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"gone"}').report)
      .toMatchObject({ code: "RESOURCE_DOES_NOT_EXIST", message: "gone", retryable: false });
  });

  it.each(["", "<html>", "null", "[]", "7"])("survives the body %j", (body) => {
    expect(parseError(502, body).report).toMatchObject({ code: "http_502", retryable: true });
  });

  it("knows sign-out and a lost server", () => {
    expect(parseError(401, "{}").signedOut).toBe(true);
    expect(unreachable().unreachable).toBe(true);
    expect(unreachable().report.retryable).toBe(true);
  });
});

it("makes sentences", () => {
  expect(sentence("no such run")).toBe("No such run.");
  expect(sentence("Done!")).toBe("Done!");
  expect(sentence(" ")).toBe("");
  // Fields are called what they are called.
  expect(["retry.attempts must lie below 8", "max_tokens: too many", "rules[0] holds for none", "e.g. this"].map(sentence)).toEqual(["retry.attempts must lie below 8.", "max_tokens: too many.", "rules[0] holds for none.", "e.g. this."]);
});

it("wraps other errors without losing their words", () => {
  expect(asApiError(new TypeError("bad thing")).report.message).toBe("bad thing");
  const known = unreachable();
  expect(asApiError(known)).toBe(known);
});
