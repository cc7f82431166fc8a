// Traces of an experiment, sent as any exporter of OpenTelemetry sends them: found, ordered and opened in the browser, their
// spans walked by keyboard, judged, followed to the run and back; one that goes on while it is looked at, and one of 5,000
// spans.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";

const TRACES = 130;
const MANY = 5000;

const hex = (bytes) => randomBytes(bytes).toString("hex");
const spanId = (at) => (at + 1).toString(16).padStart(16, "0");

/** A value as an exporter writes it; clients of mlflow write JSON as texts. */
const value = (one) => (typeof one === "number" ? { intValue: String(one) } : { stringValue: typeof one === "string" ? one : JSON.stringify(one) });

/** `start` and `took` in milliseconds since the trace began. */
const span = (trace, at, parent, name, type, start, took, attributes = {}, more = {}) => ({
  traceId: trace.id, spanId: spanId(at), parentSpanId: parent === undefined ? undefined : spanId(parent), name, kind: 1,
  startTimeUnixNano: String(BigInt(trace.began) * 1_000_000n + BigInt(Math.round(start * 1e6))),
  endTimeUnixNano: String(BigInt(trace.began) * 1_000_000n + BigInt(Math.round((start + took) * 1e6))),
  attributes: Object.entries({ ...(type ? { "mlflow.spanType": type } : {}), ...attributes }).map(([key, one]) => ({ key, value: value(one) })),
  status: { code: 1 }, ...more,
});

/** What an assistant did: a plan, a call of a tool that fails once, a search, an answer. */
function assistant(trace) {
  const failure = { name: "exception", timeUnixNano: String(BigInt(trace.began) * 1_000_000n + 1_560_000_000n), attributes: [["exception.type", "HTTPError"], ["exception.message", "503 Service Unavailable"], ["exception.stacktrace", "Traceback (most recent call last):\nHTTPError: 503"]].map(([key, one]) => ({ key, value: value(one) })) };
  const question = "Can I get a refund for order 1842?";
  return [
    span(trace, 0, undefined, "support_agent", "AGENT", 0, 4250, { "mlflow.spanInputs": { question }, "mlflow.spanOutputs": "Yes. Order 1842 was delivered nine days ago, so I have started the refund.", "session.id": "s-1", "user.id": "ada", "app.version": "2.4.1" }),
    span(trace, 1, 0, "plan", "CHAT_MODEL", 120, 1190, {
      "mlflow.spanInputs": { model: "smollm2", messages: [{ role: "system", content: "You are a support agent. Use the tools." }, { role: "user", content: question }] },
      "mlflow.spanOutputs": { choices: [{ message: { role: "assistant", content: null, tool_calls: [{ id: "c1", function: { name: "find_order", arguments: '{"order": 1842}' } }] } }] },
      "mlflow.chat.tokenUsage": { input_tokens: 212, output_tokens: 31, total_tokens: 243 }, "mlflow.llm.model": "smollm2-135m", "mlflow.llm.cost": { input_cost: 0.0001, output_cost: 0.00011, total_cost: 0.00021 },
    }),
    span(trace, 2, 0, "find_order", "TOOL", 1330, 570, { "mlflow.spanInputs": { order: 1842 }, "mlflow.spanOutputs": { id: 1842, delivered: "2026-11-13" } }),
    span(trace, 3, 2, "GET /orders/1842", "", 1360, 200, {}, { status: { code: 2, message: "503 Service Unavailable" }, events: [failure] }),
    span(trace, 4, 2, "GET /orders/1842 again", "", 1600, 280),
    span(trace, 5, 0, "policies", "RETRIEVER", 1920, 330, { "mlflow.spanInputs": { query: "refund period" }, "mlflow.spanOutputs": [{ page_content: "Customers may return goods within thirty days.", metadata: { source: "policies.md" } }] }),
    span(trace, 6, 5, "embed", "EMBEDDING", 1925, 85),
    span(trace, 7, 0, "answer", "CHAT_MODEL", 2300, 1820, { "mlflow.chat.tokenUsage": { input_tokens: 590, output_tokens: 58, total_tokens: 648 } }),
    span(trace, 8, 0, "toxicity", "GUARDRAIL", 4125, 115),
  ];
}

const QUESTIONS = ["Where is my parcel?", "How do I change my address?", "Do you ship to Iceland?"];

function simple(trace, at) {
  const failed = at % 13 === 3;
  return [span(trace, 0, undefined, at % 2 === 0 ? "faq" : "lookup", "CHAIN", 0, 40 + at, { "mlflow.spanInputs": { question: QUESTIONS[at % 3] }, "mlflow.spanOutputs": `answer ${at}`, "session.id": `s-${at % 7}`, "mlflow.traceTag.mlflow.traceName": at % 2 === 0 ? "faq" : "lookup" }, failed ? { status: { code: 2, message: "no answer" } } : {})];
}

function many(trace) {
  const spans = [span(trace, 0, undefined, "batch", "WORKFLOW", 0, MANY)];
  const types = ["LLM", "TOOL", "RETRIEVER", "CHAIN"];
  for (let at = 1; at < MANY; at += 1) spans.push(span(trace, at, at % 10 === 1 ? 0 : at - 1, `step ${at}`, types[at % 4], at, 5, { "mlflow.spanInputs": { at, text: "x".repeat(200) } }));
  return spans;
}

/** `problems` keeps what the browser reported, less the refusal that is asked for here. */
export async function checkTraces({ page, problems, url, token, visit, shot, noSidewaysScroll }) {
  const send = async (path, data, headers = {}) => {
    const response = await page.request.post(`${url}${path}`, { data, headers: { authorization: `Bearer ${token}`, "content-type": "application/json", ...headers } });
    if (!response.ok()) throw new Error(`${path} answered ${response.status()}: ${await response.text()}`);
    return response.json();
  };
  const name = `console-traces-${Date.now()}`;
  const { experiment_id: experiment } = await send("/api/2.0/mlflow/experiments/create", { name });
  const { run } = await send("/api/2.0/mlflow/runs/create", { experiment_id: experiment, run_name: "nightly answers", start_time: Date.now() });
  const spans = (list, more = {}) => send("/v1/traces", { resourceSpans: [{ scopeSpans: [{ spans: list }] }] }, { "x-mlflow-experiment-id": experiment, ...more });
  const trace = (ago_ms) => ({ id: hex(16), began: Date.now() - ago_ms });
  const at = { page, visit, shot, noSidewaysScroll, spans, trace, path: `/experiments/${experiment}`, run: run.info.run_id };
  await empty(at);

  const first = trace(5_000);
  await spans(assistant(first), { "x-mlflow-run-id": at.run });
  // As the mlflow client sends it beside the spans.
  await send("/api/3.0/mlflow/traces", { trace: { trace_info: {
    trace_id: `tr-${first.id}`, trace_location: { type: "MLFLOW_EXPERIMENT", mlflow_experiment: { experiment_id: experiment } },
    request_time: new Date(first.began).toISOString(), execution_duration: "4.25s", state: "OK",
    request_preview: '{"question": "Can I get a refund for order 1842?"}', response_preview: '"Yes. Order 1842 was delivered nine days ago, so I have started the refund."',
    tags: { "mlflow.traceName": "support_agent", channel: "email" }, trace_metadata: { "mlflow.sourceRun": at.run, "mlflow.trace.session": "s-1", "mlflow.trace.user": "ada", "mlflow.trace_schema.version": "3" },
  } } });
  await spans(Array.from({ length: TRACES - 1 }, (_, index) => simple(trace(60_000 + index * 30_000), index)).flat());
  at.page_of = `${at.path}/traces/tr-${first.id}`;
  await list(at);
  await complete(at);
  await waterfall(at);
  await judge(at);
  await links(at);
  await live(at);
  await large(at);
  await narrow(at);
  await visit("/experiments");
  await send("/api/2.0/mlflow/experiments/delete", { experiment_id: experiment });
  const others = problems.filter((problem) => !/status of 400.*traces\/search/.test(problem));
  problems.splice(0, problems.length, ...others);
}

const rows = (page) => page.getByRole("grid", { name: "Traces" }).locator(".run-rows .run-line");
const lines = (page) => page.locator(".wf-rows .wf-line");
const line = (page, name) => lines(page).filter({ has: page.getByText(name, { exact: true }) });

async function empty({ page, visit, shot, path }) {
  await visit(`${path}?tab=traces`);
  await page.getByRole("heading", { name: "No trace in this experiment" }).waitFor();
  await page.locator(".snippet").filter({ hasText: "mlflow.start_span" }).waitFor();
  await shot("traces-empty");
}

/** Found by words and by filters, ordered, walked to the end of what is loaded page by page, opened by keyboard. */
async function list({ page, visit, shot, path }) {
  await visit(path);
  await page.getByRole("tab", { name: "Traces" }).click();
  await rows(page).first().filter({ hasText: "Can I get a refund for order 1842?" }).waitFor();
  assert(await rows(page).count() < 60, "only rows in sight are in the document");
  await shot("traces");

  const search = page.getByRole("combobox", { name: "Search traces" });
  await search.fill("iceland");
  await page.getByText("43 traces", { exact: true }).first().waitFor();
  await search.fill("status = ");
  await search.press("Enter");
  await page.getByRole("alert").waitFor();
  await search.fill("status = 'ERROR'");
  await search.press("Enter");
  await page.getByText("10 traces", { exact: true }).first().waitFor();
  assert.equal(new URL(page.url()).searchParams.get("tq"), "status = 'ERROR'");
  await search.press("Escape");
  await page.getByText("100 traces or more", { exact: true }).first().waitFor();

  const grid = page.getByRole("grid", { name: "Traces" });
  await grid.getByRole("button", { name: "Took" }).click();
  await page.locator('[aria-sort="descending"]').waitFor();
  await rows(page).first().filter({ hasText: "4.3 s" }).waitFor();
  await visit(`${path}?tab=traces`);
  await rows(page).first().waitFor();
  await grid.focus();
  await page.keyboard.press("End");
  await page.getByText(`${TRACES} traces`, { exact: true }).first().waitFor();
  await page.keyboard.press("End");
  await rows(page).last().filter({ hasText: "answer 128" }).waitFor();
  await page.keyboard.press("Home");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "support_agent" }).waitFor();
}

/** The box offers names, operators and values; Enter takes what is chosen, and otherwise searches. */
async function complete({ page, visit, shot, path }) {
  await visit(`${path}?tab=traces`);
  await rows(page).first().waitFor();
  const search = page.getByRole("combobox", { name: "Search traces" });
  await search.pressSequentially("sess");
  const option = (name) => page.getByRole("option", { name });
  await option(/mlflow\.trace\.session/).waitFor();
  assert.equal(await search.getAttribute("aria-expanded"), "true");
  await search.press("Escape");
  await option(/mlflow\.trace\.session/).waitFor({ state: "detached" });
  await search.fill("");
  await search.pressSequentially("stat");
  await search.press("ArrowDown");
  assert.equal(await page.locator(`[id="${await search.getAttribute("aria-activedescendant")}"]`).getAttribute("aria-selected"), "true");
  await search.press("Enter");
  assert.equal(await search.inputValue(), "status ");
  await search.pressSequentially("= ");
  await option("'ERROR'").waitFor();
  await shot("traces-complete");
  await option("'ERROR'").click();
  assert.equal(await search.inputValue(), "status = 'ERROR' ");
  await search.press("Enter");
  await page.getByText("10 traces", { exact: true }).first().waitFor();
}

async function waterfall({ page, visit, shot, page_of }) {
  await visit(page_of);
  const grid = page.getByRole("treegrid", { name: "Spans" });
  await line(page, "toxicity").waitFor();
  assert.equal(await lines(page).count(), 9);
  assert.deepEqual(await line(page, "embed").evaluate((row) => ["aria-level", "aria-posinset", "aria-setsize"].map((name) => row.getAttribute(name))), ["3", "1", "1"]);
  // The second starts behind the first and is within the whole.
  const bar = async (name) => (await line(page, name).locator(".wf-bar").boundingBox());
  const [whole, plan, answer] = [await bar("support_agent"), await bar("plan"), await bar("answer")];
  assert(plan.x > whole.x && answer.x > plan.x + plan.width && answer.x + answer.width < whole.x + whole.width + 1, "bars lie in time");
  assert(Math.abs(plan.width / whole.width - 1190 / 4250) < 0.02, "a bar is as long as its span");

  // By keyboard: down to the tool, closed, walked past, opened, into its first call, shown.
  await grid.focus();
  for (const key of ["ArrowDown", "ArrowDown", "ArrowLeft"]) await page.keyboard.press(key);
  assert.equal(await line(page, "find_order").getAttribute("aria-expanded"), "false");
  assert.equal(await lines(page).count(), 7);
  for (const key of ["ArrowRight", "ArrowRight", "Enter"]) await page.keyboard.press(key);
  const panel = page.locator(".span-panel");
  await panel.getByRole("heading", { name: "GET /orders/1842" }).waitFor();
  await panel.getByText("HTTPError").first().waitFor();
  assert.equal(new URL(page.url()).searchParams.get("span"), spanId(3));
  await shot("trace-waterfall-error");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await panel.getByRole("heading", { name: "plan" }).waitFor();
  await panel.getByText("You are a support agent. Use the tools.").waitFor();
  await panel.getByText("find_order", { exact: true }).waitFor();
  await panel.getByText("243 tokens").waitFor();
  await shot("trace-waterfall");
  await panel.getByRole("button", { name: "Show as JSON" }).first().click();
  await panel.getByText('"messages": [').waitFor();

  // The address leads to the span; what is looked for comes with what it is in; the time is zoomed.
  await visit(`${page_of}?span=${spanId(5)}`);
  await panel.getByText("Customers may return goods within thirty days.").waitFor();
  await page.getByLabel("Find a span").fill("embed");
  await page.getByText("3 shown").waitFor();
  assert.equal(await line(page, "plan").count(), 0);
  await page.getByLabel("Find a span").fill("");
  await page.getByRole("button", { name: "1 error" }).click();
  await page.getByText("3 shown").waitFor();
  await page.getByRole("button", { name: "1 error" }).click();
  const before = (await bar("policies")).width;
  await page.getByRole("button", { name: "Zoom in" }).click();
  assert((await bar("policies")).width > before * 5, "zoomed in");
  await page.getByRole("button", { name: "Show all of the time" }).click();
  await visit(page_of);
  await panel.getByRole("tab", { name: /^Attributes/ }).click();
  await panel.getByText("app.version").waitFor();
}

/** Feedback on a span, changed; an expectation that is an object; deleted. */
async function judge({ page, visit, shot, page_of }) {
  await visit(`${page_of}?span=${spanId(1)}`);
  const dialog = page.getByRole("dialog");
  const assessments = page.locator(".assessments > li");
  await page.getByRole("button", { name: "Assess" }).click();
  await dialog.getByLabel("Name").fill("correct");
  await dialog.getByLabel("Why").fill("It names the right order.");
  await dialog.getByLabel(/Only about the span/).check();
  await dialog.getByRole("button", { name: "Save it" }).click();
  await assessments.filter({ hasText: "correct" }).filter({ hasText: "yes" }).filter({ hasText: "It names the right order." }).waitFor();
  await page.getByRole("button", { name: "Change correct" }).click();
  await dialog.getByLabel("Value").selectOption("no");
  await dialog.getByRole("button", { name: "Save it" }).click();
  await assessments.filter({ hasText: "correct" }).filter({ hasText: "no" }).waitFor();
  await page.getByRole("button", { name: "Assess" }).click();
  await dialog.getByLabel("Name").fill("answer");
  await dialog.getByLabel("What it is").selectOption("expectation");
  await dialog.getByLabel("Form").selectOption("json");
  await dialog.getByLabel("Value").fill("{");
  await dialog.getByRole("button", { name: "Save it" }).click();
  await dialog.getByRole("alert").filter({ hasText: "no JSON" }).waitFor();
  await dialog.getByLabel("Value").fill('{"refund": true}');
  await dialog.getByRole("button", { name: "Save it" }).click();
  await assessments.filter({ hasText: '"refund": true' }).waitFor();
  await shot("trace-assessments");
  await assessments.filter({ hasText: "correct" }).getByRole("button", { name: "plan" }).waitFor();
  await visit(page_of.replace(/\/traces\/.*/, `?tab=traces&tq=${encodeURIComponent("feedback.correct = 'false'")}`));
  await page.getByText("1 trace", { exact: true }).first().waitFor();
  await rows(page).first().filter({ hasText: "correct: no" }).waitFor();
  await visit(page_of);
  await page.getByRole("button", { name: "Delete answer" }).click();
  await dialog.getByRole("button", { name: "Delete it" }).click();
  await assessments.filter({ hasText: "refund" }).waitFor({ state: "detached" });
}

/** From the trace to its run, to the run's traces, and back; to those of the same session. */
async function links({ page, visit, page_of, path, run }) {
  await visit(page_of);
  await page.getByRole("link", { name: "nightly answers" }).click();
  await page.getByRole("heading", { level: 1, name: "nightly answers" }).waitFor();
  await page.getByText("1 trace", { exact: true }).first().waitFor();
  assert(page.url().includes(`${path}/runs/${run}`), page.url());
  await rows(page).first().getByRole("link").click();
  await page.getByRole("heading", { level: 1, name: "support_agent" }).waitFor();
  await page.getByRole("link", { name: "s-1", exact: true }).click();
  await page.getByText("20 traces", { exact: true }).first().waitFor();
  await visit(`/#${page_of.replace("/traces/", "/traces?selectedEvaluationId=")}`);
  await page.getByRole("heading", { level: 1, name: "support_agent" }).waitFor();
}

/** A trace whose root has not come is in progress; what comes is shown without loading the page anew. */
async function live({ page, visit, shot, spans, trace, path }) {
  const one = trace(1_000);
  const all = assistant(one);
  await spans(all.slice(1, 3));
  await visit(`${path}/traces/tr-${one.id}`);
  await page.locator('.page-head [data-state="in_progress"]').waitFor();
  await line(page, "plan").waitFor();
  assert.equal(await line(page, "answer").count(), 0);
  await shot("trace-live");
  await spans([all[0], ...all.slice(3)]);
  await page.locator('.page-head [data-state="ok"]').waitFor();
  await line(page, "answer").waitFor();
  assert.equal(await lines(page).count(), 9);
}

async function large({ page, visit, shot, spans, trace, path }) {
  const one = trace(10_000);
  await spans(many(one));
  await visit(`${path}/traces/tr-${one.id}`);
  await line(page, "step 1").waitFor();
  const grid = page.getByRole("treegrid", { name: "Spans" });
  assert.equal(await grid.getAttribute("aria-rowcount"), String(MANY + 1));
  assert(await lines(page).count() < 80, "only rows in sight are in the document");
  await grid.focus();
  await page.keyboard.press("End");
  await line(page, `step ${MANY - 1}`).waitFor();
  await page.keyboard.press("Enter");
  await page.locator(".span-panel").getByRole("heading", { name: `step ${MANY - 1}` }).waitFor();
  await shot("trace-large");
  await page.getByRole("button", { name: "Close all" }).click();
  await page.waitForFunction((most) => Number(document.querySelector('[role="treegrid"]')?.getAttribute("aria-rowcount")) < most, 600);
  // The address leads into what is closed.
  await visit(`${path}/traces/tr-${one.id}?span=${spanId(2500)}`);
  await line(page, "step 2500").waitFor();
}

async function narrow({ page, visit, shot, noSidewaysScroll, path, page_of }) {
  await page.setViewportSize({ width: 390, height: 800 });
  for (const [name, address] of Object.entries({ traces: `${path}?tab=traces`, trace: `${page_of}?span=${spanId(1)}` })) {
    await visit(address);
    await (name === "traces" ? rows(page) : lines(page)).first().waitFor();
    await noSidewaysScroll(`${name} on a small screen`);
    await shot(`${name}-small`);
  }
  await page.setViewportSize({ width: 1360, height: 860 });
  await page.locator("[data-theme-choice=dark]").click();
  await visit(`${page_of}?span=${spanId(1)}`);
  await lines(page).first().waitFor();
  await shot("trace-waterfall-dark");
  await page.locator("[data-theme-choice=light]").click();
}
