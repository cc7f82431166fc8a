import assert from "node:assert/strict";

/** The graph has every step with its state; arrow keys walk it; each tab of a step opens. */
export async function checkRun({ page, visit, shot, run }) {
  await visit(`/runs/${run.id}`);
  const nodes = page.locator("[data-step]");
  await nodes.first().waitFor();
  assert.equal(await nodes.count(), run.steps.length, "one node per step");
  const names = await nodes.evaluateAll((all) => all.map((node) => node.getAttribute("data-step")));
  assert.deepEqual([...names].sort(), run.steps.map((step) => step.name).sort());
  const stops = await nodes.evaluateAll((all) => all.filter((node) => node.tabIndex === 0).length);
  assert.equal(stops, 1, "the graph is one tab stop");

  const child = run.steps.find((step) => step.needs.length > 0);
  if (child) {
    const parent = child.needs[0];
    await page.locator(`[data-step="${parent}"]`).focus();
    await page.keyboard.press("ArrowRight");
    const next = await page.evaluate(() => document.activeElement?.getAttribute("data-step"));
    assert(next && next !== parent, `arrow right from ${parent} stayed at ${next}`);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 2, name: `Step ${next}` }).waitFor();
  }

  const ran = [...run.steps].sort((a, b) => b.attempts.length - a.attempts.length || b.workers - a.workers)[0];
  await page.locator(`[data-step="${ran.name}"]`).click();
  await page.getByRole("tab", { name: /^Logs/ }).focus();
  const tabs = await page.getByRole("tab").count();
  for (let at = 0; at < tabs; at += 1) {
    const tab = page.locator('[role="tab"][aria-selected="true"]');
    const name = (await tab.textContent()).toLowerCase().split(" ")[0].replace(/\W/g, "");
    await page.waitForFunction(() => document.querySelector(".skeleton") === null);
    assert.equal(await page.locator('[role="tabpanel"] [role="alert"]').count(), 0, `the tab ${name} shows an error`);
    await shot(`run-${name}`);
    await page.keyboard.press("ArrowRight");
  }
  if (ran.attempts.length === 0) return;
  await page.getByRole("tab", { name: /^Logs/ }).click();
  const search = page.getByLabel("Search in the log");
  await search.fill("e");
  await page.locator(".log-search [role=status]").waitFor();
}
