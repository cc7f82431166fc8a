import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { curlChat, curlInfer, pythonChat, quoted } from "./snippets";

const NASTY = "it's \"quoted\", $HOME `id` \\ and\na new line, ü 汉 \u2028";
const request = { model: "chat", messages: [{ role: "user" as const, content: NASTY }], max_tokens: 5, temperature: 0.7, stream: true };

/** The arguments that a shell makes of a line which calls curl. */
function argumentsOf(line: string): string[] {
  const script = `curl() { for one in "$@"; do printf '%s\\0' "$one"; done; }\n${line}`;
  return execFileSync("sh", ["-c", script], { env: { ...process.env, CORLISS_TOKEN: "secret" } }).toString().split("\0").slice(0, -1);
}

it("is one argument to a shell, whatever is in it", () => {
  expect(execFileSync("sh", ["-c", `printf %s ${quoted(NASTY)}`]).toString()).toBe(NASTY);
});

it("writes a line for the terminal that sends exactly the request", () => {
  const sent = argumentsOf(curlChat("http://127.0.0.1:7070", request));
  expect(sent.slice(0, 2)).toEqual(["-sN", "http://127.0.0.1:7070/v1/chat/completions"]);
  expect(sent).toContain("authorization: Bearer secret");
  expect(JSON.parse(sent[sent.length - 1] ?? "")).toEqual(request);
  expect(curlChat("x", request)).not.toContain("secret");
});

it("writes tensors on one line", () => {
  const line = curlInfer("http://h", "a b", '{\n  "inputs": [{"data": [1,\n2]}]\n}');
  expect(line).not.toContain("\n");
  expect(argumentsOf(line)[1]).toBe("http://h/v2/models/a%20b/infer");
});

it("writes a program whose texts Python reads back", () => {
  const program = pythonChat("http://h", request);
  // What Python would call, without the client.
  const fake = `import sys, json, types\nclass OpenAI:\n    def __init__(self, base_url):\n        self.base_url = base_url\n        self.chat = types.SimpleNamespace(completions=self)\n    def create(self, **sent):\n        sys.stdout.write(json.dumps({"base_url": self.base_url, **sent}))\n        return []\nsys.modules["openai"] = types.SimpleNamespace(OpenAI=OpenAI)\n`;
  const sent = JSON.parse(execFileSync("python3", ["-"], { input: fake + program }).toString()) as unknown;
  expect(sent).toEqual({ base_url: "http://h/v1", ...request });
});
