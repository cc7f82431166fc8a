// A dataset of its own, made by the API: browsed, compared and merged in the browser, then deleted.
import assert from "node:assert/strict";
import { png } from "./png.mjs";

const NAME = "console-e2e";
const PAGE = `/data/datasets/${NAME}`;

const labels = (third) => `id,label\n1,zero\n2,one\n3,${third}\n`;

/** `main` and two branches beside it, one of which changed the same file. */
async function seed(call) {
  const put = async (files) => Promise.all(Object.entries(files).map(async ([path, content]) => ({ path, blob: (await call("POST", "blobs", Buffer.from(content))).id })));
  const commit = async (branch, message, files) => call("POST", `datasets/${NAME}/commits`, { branch, message, edits: await put(files) });
  await commit("main", "The first files", {
    "README.md": "# Signs\n", "labels.csv": labels("two"), "images/sign.png": png(40, 24, [180, 40, 30]),
    "names/שלום עולם.txt": "peace", "page.html": "<script>window.wasRun = true</script><h1>Not a page</h1>",
  });
  await call("POST", `datasets/${NAME}/branches`, { name: "fix/relabel" });
  await call("POST", `datasets/${NAME}/branches`, { name: "clash" });
  await commit("fix/relabel", "Relabel the third", { "labels.csv": labels("three"), "images/sign.png": png(40, 24, [30, 40, 180]) });
  await commit("clash", "Another title", { "README.md": "# Shields\n" });
  await commit("main", "A better title", { "README.md": "# Road signs\n" });
}

/** `problems` keeps what the browser reported, less the two refusals that are asked for here. */
export async function checkData({ page, problems, url, token, visit, shot, noSidewaysScroll }) {
  const call = async (method, path, body) => {
    const raw = Buffer.isBuffer(body);
    const response = await page.request.fetch(`${url}/api/v1/data/${path}`, {
      method, data: body, headers: { authorization: `Bearer ${token}`, "content-type": raw ? "application/octet-stream" : "application/json" },
    });
    if (!response.ok() && !(method === "DELETE" && response.status() === 404)) throw new Error(`${method} ${path} answered ${response.status()}: ${await response.text()}`);
    return response.status() === 200 || response.status() === 201 ? response.json() : undefined;
  };
  await call("DELETE", `datasets/${NAME}`);
  await seed(call);
  await browse({ page, visit, shot });
  await switchRef({ page, visit });
  await history({ page, visit, shot });
  await names({ page, visit });
  await compare({ page, visit, shot });
  await merge({ page, visit, shot });
  await narrow({ page, visit, shot, noSidewaysScroll });
  // A page of the dataset would go on asking for it.
  await visit("/data");
  await call("DELETE", `datasets/${NAME}`);
  const wanted = (problem) => /status of 404.*no-such-branch|status of 409.*\/merge\)/.test(problem);
  const others = problems.filter((problem) => !wanted(problem));
  problems.splice(0, problems.length, ...others);
}

/** Folder by folder to a picture, with the focus where the reader goes on; a page of the dataset stays text. */
async function browse({ page, visit, shot }) {
  await visit(PAGE);
  await page.getByRole("link", { name: "Folder images" }).click();
  await page.getByRole("link", { name: "File sign.png" }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("aria-label")), "Folder", "the focus is at the path");
  await page.getByRole("link", { name: "File sign.png" }).click();
  const picture = page.locator(".picture img");
  await picture.waitFor();
  await page.getByText("40 × 24 pixels").waitFor();
  assert.match((await picture.getAttribute("src")) ?? "", /^blob:/, "the picture is shown from bytes that this page fetched");
  assert.equal(new URL(page.url()).searchParams.get("file"), "images/sign.png");
  await shot("data-picture");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download" }).click()]);
  assert.equal(download.suggestedFilename(), "sign.png");

  await visit(`${PAGE}?file=page.html`);
  await page.locator(".preview-text").filter({ hasText: "<h1>Not a page</h1>" }).waitFor();
  assert.equal(await page.evaluate(() => window.wasRun), undefined, "a page of the dataset ran");
  assert.equal(await page.locator("iframe, object, embed").count(), 0);

  await visit(`${PAGE}?file=labels.csv`);
  await page.getByText("Rows 1–3 of 3").waitFor();
  const grid = page.getByRole("group", { name: "Rows of the table" });
  assert.deepEqual(await grid.locator("tbody tr").first().locator("td").allTextContents(), ["1", "zero"]);
}

/** By keyboard alone: the list opens, filters, picks, and gives the focus back. */
async function switchRef({ page, visit }) {
  await visit(PAGE);
  const picker = page.getByRole("button", { name: /^Shown: branch main/ });
  await picker.focus();
  await page.keyboard.press("ArrowDown");
  const field = page.getByRole("combobox", { name: "Branch, tag or commit" });
  await field.waitFor();
  await page.keyboard.press("Escape");
  await field.waitFor({ state: "detached" });
  assert.match((await page.evaluate(() => document.activeElement?.getAttribute("aria-label"))) ?? "", /^Shown/, "Escape gives the focus back");
  await page.keyboard.press("Enter");
  await field.fill("relab");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 2, name: `${NAME} at fix/relabel` }).waitFor();
  assert.match(page.url(), /\?ref=fix\/relabel$/);
  await visit(`${PAGE}?ref=no-such-branch`);
  await page.getByRole("alert").filter({ hasText: "no-such-branch" }).waitFor();
}

/** The commits of a branch, and what one of them changed. */
async function history({ page, visit, shot }) {
  await visit(`${PAGE}?ref=fix/relabel&tab=history`);
  await page.getByRole("link", { name: "Relabel the third" }).click();
  await page.getByRole("heading", { level: 1, name: "Relabel the third" }).waitFor();
  await page.locator('[data-change="changed"]').nth(1).waitFor();
  assert.equal(await page.locator("[data-change]").count(), 2, "the commit changed two files");
  await shot("data-commit");
}

async function names({ page, visit }) {
  await visit(`${PAGE}?tab=refs`);
  const form = page.getByRole("form", { name: "New branch or tag" });
  await form.getByLabel("Name").fill("a b");
  assert(await form.getByRole("button", { name: "Make branch" }).isDisabled(), "a bad name is not sent");
  await form.getByLabel("Name").fill("try/this");
  await page.keyboard.press("Enter");
  const row = page.getByRole("row").filter({ hasText: "try/this" });
  await row.getByRole("button", { name: "Protect" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Protect it" }).click();
  await row.getByText("protected", { exact: true }).waitFor();
  assert(await row.getByRole("button", { name: "Delete" }).isDisabled(), "what is protected cannot be deleted");
  await row.getByRole("button", { name: "Unprotect" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Unprotect it" }).click();
  await row.getByRole("button", { name: "Protect", exact: true }).waitFor();
  await row.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete it" }).click();
  await row.waitFor({ state: "detached" });
}

/** Pictures side by side, tables cell by cell. */
async function compare({ page, visit, shot }) {
  await visit(`${PAGE}/compare?from=main~1&to=fix/relabel`);
  await page.getByRole("link", { name: "images/sign.png" }).click();
  await page.getByText("40 × 24 pixels").nth(1).waitFor();
  assert.equal(await page.locator(".picture img").count(), 2);
  await shot("data-pictures");
  await page.getByRole("link", { name: "Next file" }).click();
  await page.locator("ins").filter({ hasText: "three" }).waitFor();
  assert.equal(await page.locator("del").count(), 1, "one cell changed");
  assert.match((await page.locator("del").textContent()) ?? "", /two/);
  await shot("data-table-diff");
}

/** A conflict is told with its path and nothing is merged; with a side chosen it leads to the merge. */
async function merge({ page, visit, shot }) {
  await visit(`${PAGE}/compare?from=main&to=clash`);
  await page.getByRole("button", { name: "Merge clash into main" }).click();
  const dialog = page.getByRole("dialog", { name: "Merge clash into main?" });
  await dialog.getByRole("button", { name: "Merge", exact: true }).click();
  await dialog.getByRole("alert").filter({ hasText: "README.md" }).waitFor();
  await shot("data-conflict");
  await dialog.getByLabel("Where both changed a file").selectOption("theirs");
  await dialog.getByLabel("Message").fill("Take the shields");
  await dialog.getByRole("button", { name: "Merge", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "Take the shields" }).waitFor();
  await page.locator(".facts").getByText("merge").waitFor();
  await visit(`${PAGE}/compare?from=main&to=clash`);
  await page.getByRole("heading", { level: 3, name: "Nothing differs" }).waitFor();
}

async function narrow({ page, visit, shot, noSidewaysScroll }) {
  await page.setViewportSize({ width: 390, height: 800 });
  const paths = { picture: "?file=images/sign.png", table: "?file=labels.csv", names: "?path=names", refs: "?tab=refs", history: "?tab=history", compare: "/compare?from=main~1&to=fix/relabel&file=labels.csv" };
  for (const [name, path] of Object.entries(paths)) {
    await visit(`${PAGE}${path}`);
    await noSidewaysScroll(`the dataset's ${name} on a small screen`);
    await shot(`data-${name}-small`);
  }
  await visit(PAGE);
  await page.getByRole("button", { name: /^Shown/ }).click();
  await noSidewaysScroll("the list of branches on a small screen");
  await page.keyboard.press("Escape");
  await page.setViewportSize({ width: 1360, height: 860 });
}
