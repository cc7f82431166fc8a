// OpenAI's own client for Node.js, unchanged, on an endpoint of ours. It finds the server by OPENAI_BASE_URL and
// OPENAI_API_KEY, as `eval "$(corliss env)"` sets them, and the endpoint by CORLISS_TEST_MODEL.
// ../e2e/test_openai_node.py starts the server and runs this. Version 7 of the client wants Node 22; 6 is the newest for 20.
import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";

const model = process.env.CORLISS_TEST_MODEL;
assert.ok(model, "CORLISS_TEST_MODEL is not set");
const client = new OpenAI({ maxRetries: 0, timeout: 120_000 });
const user = (content) => [{ role: "user", content }];
const ask = (content, more = {}, options = {}) =>
  client.chat.completions.create({ model, messages: user(content), max_tokens: 24, temperature: 0, ...more }, options);

const weather = {
  type: "function",
  function: {
    name: "weather",
    description: "Tells the weather of a city.",
    parameters: {
      type: "object",
      properties: { city: { type: "string", maxLength: 20 } },
      required: ["city"],
      additionalProperties: false,
    },
  },
};

test("models are listed and retrieved", async () => {
  const names = [];
  for await (const one of client.models.list()) names.push(one.id);
  assert.ok(names.includes(model), names.join());
  assert.equal((await client.models.retrieve(model)).id, model);
});

test("a chat is answered with usage", async () => {
  const { data, request_id: id } = await ask("What is 2+2?").withResponse();
  assert.match(data.choices[0].message.content, /4/);
  assert.equal(data.choices[0].message.role, "assistant");
  assert.ok(data.usage.prompt_tokens > 5 && data.usage.completion_tokens >= 1);
  assert.equal(data.usage.total_tokens, data.usage.prompt_tokens + data.usage.completion_tokens);
  assert.ok(id, "an answer has an id to ask about it by");
});

test("a streamed chat says the same, piece by piece", async () => {
  const whole = await ask("Count from one to five.");
  let [text, pieces, usage, reasons] = ["", 0, null, []];
  for await (const chunk of await ask("Count from one to five.", { stream: true, stream_options: { include_usage: true } })) {
    usage = chunk.usage ?? usage;
    for (const choice of chunk.choices) {
      text += choice.delta.content ?? "";
      pieces += choice.delta.content ? 1 : 0;
      if (choice.finish_reason) reasons.push(choice.finish_reason);
    }
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.ok(pieces > 3, `${pieces} pieces`);
  assert.deepEqual(reasons, [whole.choices[0].finish_reason]);
  assert.equal(usage.completion_tokens, whole.usage.completion_tokens);
});

test("the client's helper for streams reads it to its end", async () => {
  const stream = client.chat.completions.stream({ model, messages: user("Name a colour."), max_tokens: 12, temperature: 0 });
  let seen = "";
  stream.on("content", (delta) => (seen += delta));
  const done = await stream.finalChatCompletion();
  assert.equal(done.choices[0].message.content, seen);
  assert.ok(seen.length > 0);
});

test("a stream that the client leaves ends, and the next question is answered", async () => {
  const stream = await ask("Write a very long story about the sea.", { stream: true, max_tokens: 1500 });
  let pieces = 0;
  for await (const chunk of stream) {
    pieces += chunk.choices.length;
    if (pieces > 3) break;
  }
  assert.ok(stream.controller.signal.aborted);
  assert.ok((await ask("Hello")).choices[0].message.content);
});

test("a tool is called and the client runs it", async () => {
  const asked = [];
  const called = client.chat.completions.runTools({
    model, messages: user("What is the weather in Rome?"), max_tokens: 120, temperature: 0,
    tool_choice: { type: "function", function: { name: "weather" } },
    tools: [{ ...weather, function: { ...weather.function, parse: JSON.parse, function: (given) => asked.push(given) && "sunny" } }],
  });
  await called.done();
  assert.equal(asked.length, 1);
  assert.equal(typeof asked[0].city, "string");
  const [, answer, result] = called.messages;
  assert.equal(answer.tool_calls[0].function.name, "weather");
  assert.equal(result.tool_call_id, answer.tool_calls[0].id);
  // What the tool said goes back, and the answer is a text again.
  const last = await client.chat.completions.create({
    model, messages: called.messages, tools: [weather], tool_choice: "none", max_tokens: 24,
  });
  assert.ok(last.choices[0].message.content);
});

test("a streamed call of a tool is put together by the client", async () => {
  const stream = client.chat.completions.stream({
    model, messages: user("What is the weather in Oslo?"), tools: [weather], tool_choice: "required", max_tokens: 120,
    parallel_tool_calls: false, temperature: 0,
  });
  let pieces = 0;
  stream.on("tool_calls.function.arguments.delta", () => (pieces += 1));
  const [choice] = (await stream.finalChatCompletion()).choices;
  assert.equal(choice.finish_reason, "tool_calls");
  assert.deepEqual(Object.keys(JSON.parse(choice.message.tool_calls[0].function.arguments)), ["city"]);
  assert.ok(pieces > 1, `${pieces} pieces`);
});

test("an answer has the form of a schema", async () => {
  const schema = {
    type: "object", properties: { name: { type: "string", maxLength: 12 }, masts: { type: "integer", minimum: 1, maximum: 5 } },
    required: ["name", "masts"], additionalProperties: false,
  };
  const done = await client.chat.completions.parse({
    model, messages: user("Describe a ship as JSON."), max_tokens: 120,
    response_format: { type: "json_schema", json_schema: { name: "ship", schema, strict: true } },
  });
  const ship = JSON.parse(done.choices[0].message.content);
  assert.deepEqual(Object.keys(ship), ["name", "masts"]);
  assert.ok(ship.masts >= 1 && ship.masts <= 5);
});

test("completions score what they echo", async () => {
  const { choices } = await client.completions.create({
    model, prompt: "The capital of France is", max_tokens: 0, echo: true, logprobs: 1,
  });
  assert.equal(choices[0].text, "The capital of France is");
  assert.equal(choices[0].logprobs.token_logprobs[0], null);
  assert.ok(choices[0].logprobs.token_logprobs.slice(1).every((value) => value <= 0));
});

test("embeddings come as numbers, however they were sent", async () => {
  const input = ["The cat sat on the mat.", "Quarterly revenue rose by nine percent."];
  // The client asks for base64 unless told otherwise.
  const packed = await client.embeddings.create({ model, input });
  const plain = await client.embeddings.create({ model, input, encoding_format: "float" });
  assert.equal(packed.data.length, 2);
  for (const [at, { embedding }] of plain.data.entries()) {
    const other = packed.data[at].embedding;
    assert.equal(other.length, embedding.length);
    // What is computed twice may differ in the last digits.
    const dot = embedding.reduce((sum, value, place) => sum + value * other[place], 0);
    assert.ok(Math.abs(dot - 1) < 1e-3, `${dot}`);
  }
  assert.ok(packed.usage.prompt_tokens > 10);
});

test("responses are answered and streamed", async () => {
  const whole = await client.responses.create({ model, input: "What is 2+2?", max_output_tokens: 24, temperature: 0 });
  assert.match(whole.output_text, /4/);
  const stream = client.responses.stream({ model, input: "What is 2+2?", max_output_tokens: 24, temperature: 0 });
  let text = "";
  stream.on("response.output_text.delta", ({ delta }) => (text += delta));
  assert.equal((await stream.finalResponse()).output_text, whole.output_text);
  assert.equal(text, whole.output_text);
});

test("what is wrong is raised as the client's own classes", async () => {
  const stranger = new OpenAI({ apiKey: "wrong", maxRetries: 0 });
  await assert.rejects(stranger.models.list(), (error) => error instanceof OpenAI.AuthenticationError && error.status === 401);
  await assert.rejects(
    ask("x", { model: "nobody" }),
    (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found" && /nobody/.test(error.message),
  );
  for (const [param, more] of [["temperature", { temperature: 9 }], ["n", { n: 1_000_000 }], ["tool_choice", { tool_choice: "required" }]]) {
    await assert.rejects(ask("x", more), (error) => error instanceof OpenAI.BadRequestError && error.param === param, param);
  }
  // Of a stream too: what is refused is refused before it begins.
  await assert.rejects(ask("word ".repeat(40_000), { stream: true }), (error) => error.code === "context_length_exceeded");
});
