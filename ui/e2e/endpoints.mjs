// Endpoints: the playground of those that are there, and one of its own whose traffic is watched and whose routing is changed.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** Runs a line that the console gave for the terminal, with the token that `corliss env` would set. */
async function terminal(line, token) {
  const { stdout } = await promisify(execFile)("bash", ["-c", line], { env: { ...process.env, CORLISS_TOKEN: token }, timeout: 120_000 });
  return stdout;
}

/** The prefilled request is valid, is answered, and broken JSON is named before it is sent. */
export async function tryInfer({ page, shot, name }) {
  const request = page.getByLabel(/^Request/);
  await request.waitFor();
  const text = await request.inputValue();
  assert(JSON.parse(text).inputs.length > 0, "the request is prefilled from the metadata");
  await request.fill(`${text},`);
  await page.getByText("not valid JSON").waitFor();
  assert(await page.getByRole("button", { name: "Infer" }).isDisabled());
  await request.fill(text);
  await request.press("Control+Enter");
  await page.locator(".answer-head").waitFor();
  assert((await page.locator(".output tbody tr").count()) > 0, "the answer has values");
  await shot(`infer-${name}`);
}

/** An answer streams, ends and is measured; another one can be stopped; what is refused is said; the code works elsewhere. */
export async function tryChat({ page, problems, token, shot, name }) {
  const box = page.getByLabel("Message");
  const answer = page.locator('[data-turn="assistant"]').last();
  const ended = (how) => page.waitForFunction((wanted) => [...document.querySelectorAll('[data-turn="assistant"]')].pop()?.getAttribute("data-ended")?.match(wanted), how, { timeout: 180_000 });
  await page.getByText("System text", { exact: true }).click();
  await page.getByLabel("System text").fill("You answer in one short sentence.");
  await page.getByLabel("Most tokens").fill("48");
  await box.fill("Name three parts of a steam engine.");
  await box.press("Enter");
  await ended("stop|length");
  assert(((await answer.locator("p").first().textContent()) ?? "").length > 0, "the answer has text");
  assert.match((await answer.locator(".turn-facts").textContent()) ?? "", /^\d+ tokens?, first after .+ in all, \d+ tokens\/s/);
  await shot(`chat-${name}`);

  // It stays while another tab is looked at.
  await page.getByRole("tab", { name: "Live" }).click();
  await page.locator('[data-chart="Tokens per second"]').waitFor();
  await page.getByRole("tab", { name: "Playground" }).click();
  assert.equal(await page.locator('[data-turn="user"]').count(), 1);

  await page.getByText("The same request as code").click();
  const line = (await page.getByLabel("The request in curl").textContent()) ?? "";
  assert(!line.includes(token), "the token is not in the code");
  const streamed = await terminal(line, token);
  assert(streamed.includes("data: [DONE]") && line.includes("one short sentence"), `${line}\n${streamed}`);
  await page.getByRole("tab", { name: "curl" }).press("ArrowRight");
  assert.match((await page.getByLabel("The request in python").textContent()) ?? "", /You answer in one short sentence/);
  await shot(`chat-code-${name}`);

  await page.getByLabel("Most tokens").fill("2000");
  await box.fill("Tell a long story about a mill.");
  await box.press("Enter");
  await page.getByRole("button", { name: "Stop" }).click();
  await page.locator('[data-turn="assistant"][data-ended="stopped"]').waitFor();

  await page.getByLabel("Most tokens").fill("-1");
  await box.fill("And then?");
  await box.press("Enter");
  await page.getByRole("alert").filter({ hasText: "max_tokens" }).waitFor();
  await page.locator('[data-turn="assistant"][data-ended="error"]').waitFor();
  await shot(`chat-refused-${name}`);
  forget(problems, 400);
}

/** Drops what the browser reports of an answer that was asked for. */
function forget(problems, status) {
  problems.splice(0, problems.length, ...problems.filter((one) => !one.includes(`status of ${status}`)));
}

const panelOf = (page, title) => page.getByRole("region", { name: title, exact: true });

/** An endpoint that nobody has asked says how; what is asked then is told: as curves, as rows, one by one. */
export async function checkEndpoint({ page, problems, url, token, visit, shot, noSidewaysScroll, model }) {
  const api = async (method, path, data) => {
    const response = await page.request.fetch(`${url}${path}`, { method, data, headers: { authorization: `Bearer ${token}` } });
    const text = await response.text();
    return { status: response.status(), body: text === "" ? undefined : JSON.parse(text) };
  };
  const name = `console-e2e-${Date.now()}`;
  const at = `/api/v1/endpoints/${name}`;
  assert.equal((await api("PUT", at, { model })).status, 202);
  await visit(`/endpoints/${name}`);
  await page.locator('.facts [data-state="ready"]').waitFor({ timeout: 60_000 });
  await watch({ page, api, at, name, token, shot, noSidewaysScroll });
  await requests({ page, api, at, name, visit, shot });
  await routing({ page, problems, api, at, name, visit, shot, noSidewaysScroll });
  await visit(`/endpoints/${name}?tab=releases`);
  await page.getByText("No version was released by steps yet").waitFor();
  await noSidewaysScroll("an endpoint without releases");
  await shot("endpoint-no-releases");
  assert.equal((await api("DELETE", at)).status, 202);
}

async function watch({ page, api, at, name, token, shot, noSidewaysScroll }) {
  await page.getByText("No requests yet").waitFor();
  const line = page.locator(".command code").filter({ hasText: "curl" });
  await line.waitFor();
  await shot("endpoint-untouched");
  const answer = JSON.parse(await terminal((await line.textContent()) ?? "", token));
  assert(answer.outputs.length > 0, JSON.stringify(answer));

  for (const chart of ["Requests per second", "Not answered per second", "Latency", "Requests in flight, by replica"]) await page.locator(`[data-chart="${chart}"] canvas`).waitFor();
  // What it counts is what was asked, no more.
  const total = panelOf(page, "Since the server started").locator("dl > div").filter({ hasText: "Requests" }).locator("dd");
  assert.equal(await total.textContent(), "1");
  const body = await requestOf(api, name);
  await Promise.all(Array.from({ length: 20 }, () => api("POST", `/v2/models/${name}/infer`, body)));
  await page.waitForFunction(() => [...document.querySelectorAll(".totals dd")][0]?.textContent === "21");
  await page.waitForFunction(() => /^[\d.]+\/s$/.test(document.querySelector(".tile-value")?.textContent ?? "") && document.querySelector(".tile-value")?.textContent !== "0/s");
  // The chart is a table too, for those who do not see it.
  assert.match((await page.locator('[data-chart="Latency"] table').textContent()) ?? "", /p50.*ms.*p99.*ms/s);
  await noSidewaysScroll("an endpoint's page");
  await shot("endpoint-live");

  // Held still it reads nothing.
  let reads = 0;
  const count = (request) => { if (request.url().endsWith(`${at}/stats`)) reads += 1; };
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText("Held still").waitFor();
  await page.waitForTimeout(500);
  page.on("request", count);
  await page.waitForTimeout(5000);
  assert.equal(reads, 0, "paused, and still it reads");
  await page.getByRole("button", { name: "Go on" }).click();
  await page.waitForFunction(() => document.querySelector(".panel [role=status]")?.textContent === "");
  const next = page.waitForRequest((request) => request.url().endsWith(`${at}/stats`));
  await next;
  page.off("request", count);
}

/** A request that fits the metadata. */
async function requestOf(api, name) {
  const { body } = await api("GET", `/v2/models/${name}`);
  return {
    inputs: body.inputs.map((one) => {
      const shape = one.shape.map((size) => Math.max(1, size));
      return { name: one.name, datatype: one.datatype, shape, data: new Array(shape.reduce((all, size) => all * size, 1)).fill(0) };
    }),
  };
}

async function requests({ page, api, at, name, visit, shot }) {
  const wrong = await api("POST", `/v2/models/${name}/infer`, { inputs: [{ name: "no-such-input", datatype: "FP32", shape: [1], data: [0] }] });
  assert(wrong.status >= 400 && wrong.status < 500, JSON.stringify(wrong));
  await visit(`/endpoints/${name}?tab=requests`);
  const { items } = (await api("GET", `${at}/requests`)).body;
  assert.equal(items.length, 22);
  const rows = panelOf(page, "Requests").locator("tbody tr");
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 22);
  await shot("endpoint-requests");

  await page.getByRole("link", { name: "invalid", exact: true }).click();
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
  assert((await rows.first().textContent()).includes(items[0].error), "the code of the error is in its row");

  // By keyboard alone, and back to where it was.
  const opener = rows.first().getByRole("button");
  await opener.focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "Request" });
  await dialog.getByText(items[0].id).waitFor();
  await dialog.getByText("it is wrong in itself").waitFor();
  await shot("endpoint-request");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  assert(await opener.evaluate((element) => element === document.activeElement), "the focus is back at the row");
  // By a press anywhere on the row.
  await page.getByRole("link", { name: "answered", exact: true }).click();
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 21);
  await rows.nth(3).getByText("answered").click();
  await dialog.getByText("It was answered.").waitFor();
  await page.keyboard.press("Escape");
}

async function routing({ page, problems, api, at, name, visit, shot, noSidewaysScroll }) {
  const stored = async () => (await api("GET", at)).body.routing;
  const before = await stored();
  await visit(`/endpoints/${name}?tab=routing`);
  await page.getByText("A request goes to the replica with the fewest requests in flight.").waitFor();
  await page.getByRole("button", { name: "Change it" }).click();

  // What the server refuses it says at the field; what is no JSON is said before it is sent.
  const attempts = page.getByLabel("Replicas in all");
  await attempts.fill("9");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("retry.attempts must lie between 1 and 8.").waitFor();
  assert.equal(await attempts.getAttribute("aria-invalid"), "true");
  await page.waitForFunction(() => document.activeElement?.getAttribute("data-field") === "attempts");
  await shot("endpoint-routing-refused");
  await attempts.fill("3");
  const rules = page.getByLabel("Rules as JSON");
  await rules.fill("[{");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("not valid JSON").waitFor();
  await rules.fill(`[{"when": [], "to": {"pool": "${name}"}}]`);
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("rules[0].to.pool is the endpoint itself.").waitFor();
  assert.deepEqual(await stored(), before, "what was refused changed nothing");

  await rules.fill('[{"when": [{"header": {"name": "x-tier", "is": "gold"}}], "to": {"version": 1}}]');
  await page.getByLabel("Strategy").selectOption("round_robin");
  await page.getByLabel("Hedge after, ms").fill("250");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("A request goes to the next replica in turn.").waitFor();
  await page.getByText("If its header x-tier is “gold”, a request goes to the replicas of version 1.").waitFor();
  assert.deepEqual(await stored(), { ...before, router: "round_robin", retry: { ...before.retry, attempts: 3 }, hedge_after_ms: 250, rules: [{ when: [{ header: { name: "x-tier", is: "gold" } }], to: { version: 1 } }] });
  await page.waitForFunction(() => document.activeElement?.textContent === "Change it");
  await noSidewaysScroll("an endpoint's routing");
  await shot("endpoint-routing");

  await page.getByRole("button", { name: "Back to defaults" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Back to defaults" }).click();
  await page.getByText("A request goes to the replica with the fewest requests in flight.").waitFor();
  assert.deepEqual(await stored(), before);
  // Two of the answers were asked for to be refused.
  forget(problems, 400);
  forget(problems, 422);
}
