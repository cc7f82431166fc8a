// Takes pictures of the console for releases.py: a line {name, path, wait_for} in, "done" out. Without a path it stays where
// it is, so that curves go on; without a name it only goes there.
import { join } from "node:path";
import { createInterface } from "node:readline";
import { openBrowser } from "../ui/e2e/browser.mjs";

const { CONSOLE_URL: url, CONSOLE_TOKEN: token, CONSOLE_SHOTS: folder } = process.env;
const { page, problems, close } = await openBrowser();

try {
  await page.goto(`${url}/#token=${encodeURIComponent(token)}`);
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  console.log("done");
  for await (const line of createInterface({ input: process.stdin })) {
    const { name, path, wait_for: wanted } = JSON.parse(line);
    if (path !== "") await page.goto(`${url}${path}`);
    await page.locator(wanted).first().waitFor();
    await page.waitForTimeout(500);
    if (name !== "") await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
    console.log("done");
  }
  if (problems.length > 0) throw new Error(problems.join("\n"));
} finally {
  await close();
}
