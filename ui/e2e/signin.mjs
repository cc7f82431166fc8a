import assert from "node:assert/strict";

/** A wrong token is refused with words; the terminal's link signs in and leaves no token behind. */
export async function checkSignIn({ page, url, token, shot }) {
  await page.goto(`${url}/`);
  const field = page.getByLabel("Token", { exact: true });
  await field.waitFor();
  await shot("signin");
  await field.fill("not-a-token");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").filter({ hasText: "not valid" }).waitFor();

  // By the form…
  await field.fill(token);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await field.waitFor();

  // …and by the link.
  await page.goto("about:blank");
  await page.goto(`${url}/runs#token=${encodeURIComponent(token)}`);
  await page.getByRole("heading", { level: 1, name: "Runs" }).waitFor();
  const left = await page.evaluate(() => [location.href, document.cookie, JSON.stringify({ ...localStorage, ...sessionStorage })].join("\n"));
  assert(!left.includes(token), `the token is left in the page: ${left.replaceAll(token, "TOKEN")}`);
}
