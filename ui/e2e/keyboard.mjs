import assert from "node:assert/strict";

const focused = (page) => page.evaluate(() => document.activeElement?.textContent?.trim() ?? "");

/** Skip link, shortcuts and their list, without a mouse. */
export async function checkKeyboard({ page }) {
  await page.evaluate(() => (document.activeElement instanceof HTMLElement ? document.activeElement.blur() : undefined));
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "Skip to content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "main");

  await page.keyboard.press("?");
  const dialog = page.getByRole("dialog", { name: "Keyboard shortcuts" });
  await dialog.waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });

  for (const [key, name] of [["r", "Runs"], ["m", "Models"], ["d", "Data"], ["e", "Endpoints"], ["q", "Queue"], ["o", "Overview"]]) {
    await page.keyboard.press("g");
    await page.keyboard.press(key);
    await page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
  }

  const shown = () => page.evaluate(() => getComputedStyle(document.documentElement).colorScheme);
  const before = await shown();
  await page.keyboard.press("t");
  assert.notEqual(await shown(), before);
  await page.keyboard.press("t");
  assert.equal(await shown(), before);

  // A focused link shows its ring.
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  const ring = await page.evaluate(() => getComputedStyle(document.activeElement ?? document.body).outlineStyle);
  assert.equal(ring, "solid");
}
