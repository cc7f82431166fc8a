import assert from "node:assert/strict";

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

/** An answer streams, ends and is measured; another one can be stopped. */
export async function tryChat({ page, shot, name }) {
  const box = page.getByLabel("Message");
  await box.fill("Name three parts of a steam engine.");
  await box.press("Enter");
  const answer = page.locator('[data-turn="assistant"]').last();
  await page.waitForFunction(() => (document.querySelector('[data-turn="assistant"] p')?.textContent ?? "").length > 0);
  await page.waitForFunction(() => document.querySelector('[data-turn="assistant"]')?.getAttribute("data-ended"), undefined, { timeout: 180_000 });
  assert.notEqual(await answer.getAttribute("data-ended"), "error");
  assert.match((await answer.locator(".turn-facts").textContent()) ?? "", /\d+ tokens/);
  await shot(`chat-${name}`);

  await box.fill("Tell a long story about a mill.");
  await box.press("Enter");
  await page.getByRole("button", { name: "Stop" }).click();
  await page.locator('[data-turn="assistant"][data-ended="stopped"]').waitFor();
}
