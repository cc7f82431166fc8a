// An experiment of its own, made by the API: its table searched, ordered, grouped and kept as a view; its runs charted,
// compared, read and deleted in the browser.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { png } from "./png.mjs";

const RUNS = 260;
const STEPS = 3000;
/** A table that other programs wrote. */
const PARQUET = new URL("../../crates/platform/tabular/tests/fixtures/snappy.parquet", import.meta.url);

/** Runs that differ in a rate, an optimizer and what came of them; two of them with curves and files. */
async function seed(call, name) {
  const { experiment_id: experiment } = await call("POST", "experiments/create", { name });
  const ids = [];
  for (let at = 0; at < RUNS; at += 1) {
    const start_time = Date.now() - (RUNS - at) * 60_000;
    const { run } = await call("POST", "runs/create", { experiment_id: experiment, run_name: `try-${String(at).padStart(3, "0")}`, start_time });
    const run_id = run.info.run_id;
    const params = { lr: String(10 ** -(1 + (at % 5))), optimizer: at % 2 === 0 ? "adam" : "sgd", same: "x" };
    await call("POST", "runs/log-batch", {
      run_id,
      metrics: [{ key: "val/loss", value: (at % 50) / 10 + 0.1, timestamp: start_time, step: 1 }],
      params: Object.entries(params).map(([key, value]) => ({ key, value })),
      tags: at === 1 ? [{ key: "mlflow.parentRunId", value: ids[0] }] : [{ key: "team", value: at % 3 === 0 ? "red" : "blue" }],
    });
    ids.push(run_id);
    if (at < RUNS - 1) await call("POST", "runs/update", { run_id, status: at % 40 === 7 ? "FAILED" : "FINISHED", end_time: start_time + 30_000 });
  }
  for (const [index, run_id] of ids.slice(0, 2).entries()) {
    for (let first = 0; first < STEPS; first += 1000) {
      const metrics = Array.from({ length: 1000 }, (_, at) => ({ key: "train/loss", value: first + at === 1500 ? "NaN" : Math.exp(-(first + at) / (400 * (index + 1))), timestamp: Date.now() + first + at, step: first + at }));
      await call("POST", "runs/log-batch", { run_id, metrics });
    }
  }
  const files = { "notes.txt": "Tried a rate.\n", "page.html": "<script>window.wasRun = true</script><h1>Not a page</h1>", "table.csv": "id,label\n1,\"a, b\"\n2,c\n", "plots/sign.png": png(40, 24, [180, 40, 30]), "rows.parquet": await readFile(PARQUET), "broken.jsonl": '{"a": 1}\n{broken\n', "many.jsonl": Array.from({ length: 120 }, (_, at) => `{"id": ${at}, "label": "label ${at}"}\n`).join("") };
  for (const [path, content] of Object.entries(files)) await call("PUT", `mlflow-artifacts/artifacts/${experiment}/${ids[0]}/artifacts/${path}`, Buffer.from(content));
  return { experiment, ids };
}

/** `problems` keeps what the browser reported, less the refusal that is asked for here. */
export async function checkTracking({ page, problems, url, token, visit, shot, noSidewaysScroll }) {
  const call = async (method, path, body) => {
    const raw = Buffer.isBuffer(body);
    const response = await page.request.fetch(`${url}/api/2.0/${raw ? "" : "mlflow/"}${path}`, { method, data: body, headers: { authorization: `Bearer ${token}`, "content-type": raw ? "application/octet-stream" : "application/json" } });
    if (!response.ok()) throw new Error(`${method} ${path} answered ${response.status()}: ${await response.text()}`);
    return response.json();
  };
  const { experiment, ids } = await seed(call, `console-e2e-${Date.now()}`);
  const at = { page, visit, shot, noSidewaysScroll, experiment, ids, path: `/experiments/${experiment}` };
  await list(at);
  await table(at);
  await views(at);
  await groups(at);
  await run(at);
  await charts(at);
  await compare(at);
  await narrow(at);
  await visit("/experiments");
  await call("POST", "experiments/delete", { experiment_id: experiment });
  const others = problems.filter((problem) => !/status of 400.*(runs\/search|tracking\/tables)/.test(problem));
  problems.splice(0, problems.length, ...others);
}

const rows = (page) => page.locator(".run-rows .run-line:not(.waiting)");
const firstRow = (page) => rows(page).first().locator(".run-name");

async function list({ page, visit }) {
  await visit("/experiments");
  await page.getByLabel("Search experiments").fill("console-e2e");
  await page.getByRole("row").filter({ hasText: String(RUNS) }).first().waitFor();
}

/** Found by words and by filters, ordered, scrolled to its end, chosen by keyboard alone. */
async function table({ page, visit, shot, path }) {
  await visit(path);
  await page.getByText(`${RUNS} runs`, { exact: true }).first().waitFor();
  const grid = page.getByRole("grid", { name: "Runs" });
  assert(await rows(page).count() < 60, "only rows in sight are in the document");
  await firstRow(page).filter({ hasText: `try-${RUNS - 1}` }).waitFor();
  await shot("tracking-table");

  const search = page.getByRole("combobox", { name: "Search runs" });
  await search.fill("try-01");
  await page.getByText("10 runs", { exact: true }).first().waitFor();
  await search.fill("metrics.`val/loss` <");
  await search.press("Enter");
  await page.getByRole("alert").filter({ hasText: "comparison" }).waitFor();
  await search.fill("params.optimizer = 'adam' AND metrics.`val/loss` > 4.8");
  await search.press("Enter");
  await page.getByText("5 runs", { exact: true }).first().waitFor();
  assert.equal(new URL(page.url()).searchParams.get("q"), "params.optimizer = 'adam' AND metrics.`val/loss` > 4.8");
  await search.fill("");
  await search.press("Enter");
  await page.getByText(`${RUNS} runs`, { exact: true }).first().waitFor();

  // What may come next is offered: a metric by a part of its name, the operators of a parameter, its values.
  await search.pressSequentially("loss");
  await page.getByRole("option", { name: "metrics.`val/loss`" }).waitFor();
  await search.fill("params.opt");
  await search.press("ArrowDown");
  await search.press("Enter");
  assert.equal(await search.inputValue(), "params.optimizer ");
  await search.pressSequentially("= 's");
  await shot("tracking-complete");
  await search.press("ArrowDown");
  await search.press("Tab");
  assert.equal(await search.inputValue(), "params.optimizer = 'sgd' ");
  await search.press("Enter");
  await page.getByText("130 runs", { exact: true }).first().waitFor();
  await page.getByRole("button", { name: "Clear the search" }).click();
  await page.getByText(`${RUNS} runs`, { exact: true }).first().waitFor();

  await grid.getByRole("button", { name: "val/loss" }).click();
  await page.locator('[aria-sort="descending"]').waitFor();
  await page.waitForFunction(() => document.querySelector(".run-grid.busy") === null);
  await rows(page).first().getByRole("gridcell", { name: "5", exact: true }).waitFor();
  await visit(path);
  await page.getByText(`${RUNS} runs`, { exact: true }).first().waitFor();

  await grid.focus();
  await page.keyboard.press("End");
  await rows(page).filter({ hasText: "try-000" }).waitFor();
  await page.keyboard.press("Space");
  await page.keyboard.press("Shift+ArrowUp");
  await page.getByText("2 runs chosen").waitFor();
  assert.equal(await page.locator('[role="row"][aria-selected="true"]').count(), 2);
  await page.keyboard.press("Escape");
  await page.getByText("Space selects a run").waitFor();
  await page.keyboard.press("Home");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: `try-${RUNS - 1}` }).waitFor();

  await visit(path);
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "CSV" }).click()]);
  assert.match(download.suggestedFilename(), /^console-e2e-\d+\.csv$/);
  const content = await new Response(await download.createReadStream()).text();
  assert.equal(content.trim().split("\r\n").length, RUNS + 1, "every run is in the file");
}

/** What the table shows is kept under a name, and found again without the address. */
async function views({ page, visit, path }) {
  await visit(`${path}?q=${encodeURIComponent("status = 'FAILED'")}`);
  await page.getByText("7 runs", { exact: true }).first().waitFor();
  await page.getByRole("button", { name: /^Columns/ }).click();
  await page.getByLabel("Find a column").fill("team");
  await page.getByRole("checkbox", { name: "team" }).check();
  await page.keyboard.press("Escape");
  await page.getByRole("columnheader", { name: "team" }).waitFor();
  await page.getByRole("button", { name: /^Views/ }).click();
  await page.getByRole("button", { name: "Save this view" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill("what failed");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: /^what failed/ }).waitFor();
  await visit(path);
  await page.getByRole("button", { name: /^Views/ }).click();
  await page.getByRole("button", { name: "what failed", exact: true }).click();
  await page.getByText("7 runs", { exact: true }).first().waitFor();
  await page.getByRole("columnheader", { name: "team" }).waitFor();
  await page.getByRole("button", { name: /^what failed/ }).click();
  await page.getByRole("button", { name: "Delete what failed" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete it" }).click();
  await page.getByRole("button", { name: /^Views/ }).waitFor();
}

async function groups({ page, visit, shot, path }) {
  await visit(path);
  await page.getByLabel("Group").selectOption({ label: "optimizer" });
  await page.getByText(`${RUNS} runs in 2 groups`).waitFor();
  await page.getByRole("row").filter({ hasText: "adam" }).filter({ hasText: "130" }).waitFor();
  await shot("tracking-groups");
  await page.getByRole("button", { name: "sgd" }).click();
  await page.getByText("130 runs", { exact: true }).first().waitFor();
}

/** What a run logged and stored; it is deleted and restored. */
async function run({ page, visit, shot, path, ids }) {
  await visit(`${path}/runs/${ids[0]}`);
  await page.getByRole("heading", { name: "Runs inside this one (1)" }).waitFor();
  await page.getByRole("link", { name: "try-001" }).click();
  await page.getByRole("link", { name: "try-000" }).waitFor();
  await visit(`${path}/runs/${ids[0]}?tab=artifacts`);
  const tree = page.getByRole("tree", { name: "Artifacts" });
  await tree.getByRole("treeitem", { name: "Folder plots" }).focus();
  await page.keyboard.press("ArrowRight");
  await tree.getByRole("treeitem", { name: /^sign.png/ }).waitFor();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  await page.getByText("40 × 24 pixels").waitFor();
  await shot("tracking-artifact");
  await tree.getByRole("treeitem", { name: /^page.html/ }).locator(".tree-line").click();
  await page.locator(".preview-text").filter({ hasText: "<h1>Not a page</h1>" }).waitFor();
  assert.equal(await page.evaluate(() => window.wasRun), undefined, "a stored page ran");
  await tree.getByRole("treeitem", { name: /^table.csv/ }).locator(".tree-line").click();
  await page.getByText("Rows 1–2 of 2").waitFor();
  assert.deepEqual(await page.getByRole("group", { name: "Rows of the table" }).locator("tbody tr").first().locator("td").allTextContents(), ["1", "a, b"]);
  await tree.getByRole("treeitem", { name: /^rows.parquet/ }).locator(".tree-line").click();
  await page.getByText("Parquet", { exact: true }).waitFor();
  await page.getByText("Rows 1–5 of 5").waitFor();
  await shot("tracking-parquet");
  await tree.getByRole("treeitem", { name: /^many.jsonl/ }).locator(".tree-line").click();
  await page.getByText(/^Rows 1–50/).waitFor();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText(/^Rows 51–100/).waitFor();
  await page.getByRole("group", { name: "Rows of the table" }).getByText("label 99", { exact: true }).waitFor();
  await tree.getByRole("treeitem", { name: /^broken.jsonl/ }).locator(".tree-line").click();
  await page.getByText(/It cannot be read as a table: .*line 2/).waitFor();
  await page.locator(".preview-text").filter({ hasText: "{broken" }).waitFor();

  await visit(`${path}/runs/${ids[2]}`);
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete it" }).click();
  await page.getByText("This run is deleted").waitFor();
  await page.getByRole("button", { name: "Restore" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Restore it" }).click();
  await page.getByRole("button", { name: "Delete", exact: true }).waitFor();
}

/** Curves are thinned out by the server, smoothed, zoomed by pointer and keyboard; what cannot be drawn is said. */
async function charts({ page, visit, shot, path, ids }) {
  const asked = [];
  page.on("request", (request) => { if (request.url().includes("get-history-bulk-interval")) asked.push(new URL(request.url()).searchParams); });
  await visit(`${path}/runs/${ids[0]}?tab=charts`);
  const chart = page.locator(".chart").filter({ hasText: "train/loss" });
  await chart.locator("canvas").waitFor();
  await chart.getByText("Not shown: 1 NaN").or(chart.getByText(/at step 2,999/)).first().waitFor();
  assert(asked.every((query) => Number(query.get("max_results")) <= 2500), "the server thins out");
  await page.getByLabel("Smoothing").fill("0.6");
  const plot = chart.getByRole("group");
  const box = await plot.boundingBox();
  await page.mouse.move(box.x + box.width * 0.4, box.y + 60);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 60, { steps: 5 });
  await page.mouse.up();
  await chart.getByRole("button", { name: "Show all" }).waitFor();
  await page.waitForTimeout(300);
  const zoomed = asked.at(-1);
  assert(Number(zoomed.get("start_step")) > 300 && Number(zoomed.get("end_step")) < 2700, `the part was asked for anew: ${zoomed}`);
  await plot.focus();
  await page.keyboard.press("0");
  await chart.getByRole("button", { name: "Show all" }).waitFor({ state: "detached" });
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("+");
  await chart.getByRole("button", { name: "Show all" }).waitFor();
  await shot("tracking-charts");
  await page.getByLabel("Smoothing").fill("0");
}

async function compare({ page, visit, shot, path, ids }) {
  await visit(`${path}?sort=attributes.started`);
  await rows(page).filter({ hasText: "try-000" }).locator(".run-check").click();
  await rows(page).filter({ hasText: "try-003" }).locator(".run-check").click({ modifiers: ["Shift"] });
  await page.getByText("4 runs chosen").waitFor();
  await page.getByRole("link", { name: "Compare" }).click();
  await page.getByRole("heading", { level: 1, name: "Compare runs" }).waitFor();
  const grid = page.getByRole("group", { name: "Differences" });
  await grid.getByRole("rowheader", { name: "optimizer" }).waitFor();
  assert.equal(await grid.getByRole("rowheader", { name: "same" }).count(), 0, "what is the same is left out");
  await page.getByLabel("Show what is the same too").check();
  await grid.getByRole("rowheader", { name: "same" }).waitFor();
  await shot("tracking-compare");

  await page.getByRole("tab", { name: "Curves" }).click();
  const chart = page.locator(".chart").filter({ hasText: "train/loss" });
  await chart.locator("canvas").waitFor();
  const legend = page.getByRole("list", { name: "Runs", exact: true });
  assert.equal(await legend.getByRole("button").count(), 4);
  await legend.getByRole("button", { name: "try-000" }).click();
  await legend.locator('button[aria-pressed="false"]').waitFor();
  await shot("tracking-curves");

  await page.getByRole("tab", { name: "Scatter" }).click();
  await page.getByLabel("Up").selectOption({ label: "val/loss" });
  assert.equal(await page.locator(".svg-box a").count(), 4);
  await shot("tracking-scatter");
  await page.getByRole("tab", { name: "Parallel coordinates" }).click();
  const axis = page.getByRole("slider", { name: "Metric val/loss" });
  await axis.focus();
  await page.keyboard.press("ArrowUp");
  await page.getByText(/of 4 runs within the brushes/).first().waitFor();
  assert(await page.locator(".svg-line.out").count() > 0, "runs outside fade");
  await page.keyboard.press("Escape");
  assert.equal(await page.locator(".svg-line.out").count(), 0);
  await shot("tracking-parallel");
  await page.getByRole("button", { name: "Leave out try-003" }).click();
  await page.getByText("3 runs", { exact: true }).first().waitFor();
  assert(!page.url().includes(ids[3]), "the address has what is left");
}

async function narrow({ page, visit, shot, noSidewaysScroll, path, ids }) {
  await page.setViewportSize({ width: 390, height: 800 });
  const some = ids.slice(0, 4).join(",");
  const paths = { table: "", groups: "?group=params.optimizer", run: `/runs/${ids[0]}`, charts: `/runs/${ids[0]}?tab=charts`, artifacts: `/runs/${ids[0]}?tab=artifacts&artifact=table.csv`, compare: `/compare?runs=${some}`, parallel: `/compare?runs=${some}&tab=parallel`, scatter: `/compare?runs=${some}&tab=scatter` };
  for (const [name, rest] of Object.entries(paths)) {
    await visit(`${path}${rest}`);
    await noSidewaysScroll(`the experiment's ${name} on a small screen`);
    await shot(`tracking-${name}-small`);
  }
  await page.setViewportSize({ width: 1360, height: 860 });
}
