// Drives the console of a running Corliss in Chromium.
//   CORLISS_E2E_URL    its address, e.g. http://127.0.0.1:7070
//   CORLISS_E2E_TOKEN  an admin token
//   CORLISS_E2E_SHOTS  a folder for screenshots (optional)
// Pages of things that the server does not hold (no run, no model, …) are named and left out, unless
// CORLISS_E2E_FULL=1 demands all of them.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { openBrowser } from "./browser.mjs";
import { checkData } from "./data.mjs";
import { checkEndpoint, tryChat, tryInfer } from "./endpoints.mjs";
import { checkKeyboard } from "./keyboard.mjs";
import { checkModels } from "./models.mjs";
import { checkNodes, checkUsage } from "./queue.mjs";
import { checkRun } from "./runs.mjs";
import { checkSignIn } from "./signin.mjs";
import { checkTraces } from "./traces.mjs";
import { checkTracking } from "./tracking.mjs";

const url = (process.env.CORLISS_E2E_URL ?? "").replace(/\/$/, "");
const token = process.env.CORLISS_E2E_TOKEN ?? "";
const shots = process.env.CORLISS_E2E_SHOTS;
if (url === "" || token === "") {
  console.error("set CORLISS_E2E_URL and CORLISS_E2E_TOKEN, as `corliss env` prints them");
  process.exit(2);
}
if (shots) await mkdir(shots, { recursive: true });

const { page, problems, close } = await openBrowser();

async function api(path) {
  const response = await page.request.get(`${url}${path}`, { headers: { authorization: `Bearer ${token}` } });
  if (!response.ok()) throw new Error(`${path} answered ${response.status()}: ${await response.text()}`);
  return response.json();
}

async function shot(name) {
  if (shots) await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
}

async function visit(path) {
  await page.goto(`${url}${path}`);
  await page.locator("h1").waitFor();
  await page.waitForFunction(() => document.querySelector(".skeleton") === null);
}

async function noSidewaysScroll(where) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  if (over > 0) throw new Error(`${where} is ${over} px wider than the window`);
}

/** Addresses of every page that has something to show, by name. */
async function pagesOf(found) {
  const pages = { overview: "/", runs: "/runs", experiments: "/experiments", models: "/models", data: "/data", endpoints: "/endpoints", queue: "/queue", usage: "/queue?tab=usage" };
  if (found.run) {
    pages.run = `/runs/${found.run.id}`;
    Object.assign(pages, await trackingPagesOf(found.run.id));
  }
  if (found.model) pages.model = `/models/${found.model.name}`;
  if (found.dataset) {
    pages.dataset = `/data/datasets/${found.dataset.name}`;
    for (const tab of ["history", "refs", "lineage"]) pages[`dataset-${tab}`] = `${pages.dataset}?tab=${tab}`;
    pages.version = `/data/versions/${found.dataset.latest}`;
  }
  for (const endpoint of found.endpoints) {
    pages[`endpoint-${endpoint.name}`] = `/endpoints/${endpoint.name}`;
    for (const tab of ["requests", "playground", "routing"]) pages[`endpoint-${endpoint.name}-${tab}`] = `/endpoints/${endpoint.name}?tab=${tab}`;
  }
  return pages;
}

/** The experiment and the tracking run of the step that logged most, as the mlflow client prints the link. */
async function trackingPagesOf(runId) {
  const { steps } = await api(`/api/v1/runs/${runId}`);
  const ids = steps.map((one) => one.tracking_run_id).filter(Boolean);
  const runs = await Promise.all(ids.map((id) => api(`/api/2.0/mlflow/runs/get?run_id=${id}`)));
  const logged = (one) => one.run.data?.metrics?.length ?? 0;
  const info = runs.sort((a, b) => logged(b) - logged(a))[0]?.run.info;
  return info ? { experiment: `/experiments/${info.experiment_id}`, "tracking-run": `/#/experiments/${info.experiment_id}/runs/${info.run_id}` } : {};
}

async function look() {
  const [runs, models, datasets, endpoints] = await Promise.all(
    ["runs", "models", "data/datasets", "endpoints"].map((path) => api(`/api/v1/${path}`)),
  );
  // The run with the most steps has the most to show.
  const run = [...runs.items].sort((a, b) => b.steps_total - a.steps_total)[0];
  return { run, model: models.items[0], dataset: datasets.items[0], endpoints: endpoints.items };
}

let step = "sign in";
try {
  await checkSignIn({ page, url, token, shot });
  problems.length = 0; // The refused token above is meant to leave a 401 in the console.

  step = "look for content";
  const found = await look();
  for (const [name, value] of Object.entries({ run: found.run, model: found.model, dataset: found.dataset, endpoint: found.endpoints[0] })) {
    if (value !== undefined) continue;
    if (process.env.CORLISS_E2E_FULL === "1") throw new Error(`the server holds no ${name}`);
    console.log(`left out: no ${name} on this server`);
  }
  const pages = await pagesOf(found);
  for (const theme of ["light", "dark"]) {
    for (const [name, path] of Object.entries(pages)) {
      step = `visit ${name} in ${theme}`;
      await visit(path);
      await page.locator(`[data-theme-choice=${theme}]`).click();
      await noSidewaysScroll(step);
      await shot(`${name}-${theme}`);
    }
  }
  if (pages["tracking-run"]) {
    step = "follow a link of the mlflow client";
    await visit(pages["tracking-run"]);
    if (!new URL(page.url()).pathname.startsWith("/experiments/")) throw new Error(`it led to ${page.url()}`);
  }
  step = "small screen";
  await page.setViewportSize({ width: 390, height: 800 });
  for (const [name, path] of Object.entries(pages)) {
    step = `visit ${name} on a small screen`;
    await visit(path);
    await noSidewaysScroll(step);
    await shot(`${name}-small`);
  }
  await page.setViewportSize({ width: 1360, height: 860 });
  step = "keyboard";
  await visit("/");
  await checkKeyboard({ page });
  if (found.run) {
    step = "run";
    await checkRun({ page, visit, shot, run: await api(`/api/v1/runs/${found.run.id}`) });
    step = "usage";
    await checkUsage({ page, visit, project: found.run.project });
    await checkNodes({ page, visit });
  }
  step = "data";
  await checkData({ page, problems, url, token, visit, shot, noSidewaysScroll });
  step = "tracking";
  await checkTracking({ page, problems, url, token, visit, shot, noSidewaysScroll });
  step = "traces";
  await checkTraces({ page, problems, url, token, visit, shot, noSidewaysScroll });
  step = "models";
  await checkModels({ page, problems, url, token, visit, shot, noSidewaysScroll });
  for (const endpoint of found.endpoints.filter((one) => one.replicas_ready > 0)) {
    step = `try ${endpoint.name}`;
    await visit(`/endpoints/${endpoint.name}?tab=playground`);
    if (endpoint.flavor === "onnx") await tryInfer({ page, shot, name: endpoint.name });
    if (endpoint.flavor === "gguf") await tryChat({ page, problems, token, shot, name: endpoint.name });
  }
  const tensors = found.endpoints.find((one) => one.flavor === "onnx" && one.replicas_ready > 0);
  if (tensors) {
    step = "watch an endpoint";
    await checkEndpoint({ page, problems, url, token, visit, shot, noSidewaysScroll, model: tensors.model });
  }
  if (problems.length > 0) throw new Error(`the browser reported:\n  ${problems.join("\n  ")}`);
  console.log(`console: ${Object.keys(pages).length} pages in light, dark and small; keyboard, run, usage, data, tracking, traces, models and endpoints work`);
} catch (error) {
  await shot("failure").catch(() => undefined);
  console.error(`failed at: ${step}\n${error.stack ?? error}`);
  if (problems.length > 0) console.error(`the browser reported:\n  ${problems.join("\n  ")}`);
  process.exitCode = 1;
} finally {
  await close();
}
