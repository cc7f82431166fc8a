// Drives the run table for console_runs.py and prints what it measured: {figure: [value, unit]}.
import { openBrowser } from "../ui/e2e/browser.mjs";

const { CONSOLE_URL: url, CONSOLE_TOKEN: token, CONSOLE_EXPERIMENT: experiment } = process.env;
const WHEELS = 300;
const WHEEL_PX = 1100;

const { page, problems, close } = await openBrowser();
const measured = {};
const rows = page.locator(".run-rows .run-line:not(.waiting)");

async function timed(figure, work) {
  const started = performance.now();
  await work();
  measured[figure] = [performance.now() - started, "ms"];
}

/** Asked at each frame, since waiting for an element looks less often. */
const until = (condition, argument) => page.waitForFunction(condition, argument, { polling: "raf" });

try {
  await page.goto(`${url}/#token=${encodeURIComponent(token)}`);
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  await timed("from a click's address to the first rows", async () => {
    await page.goto(`${url}/experiments/${experiment}`);
    await rows.first().waitFor();
  });
  const grid = page.getByRole("grid", { name: "Runs" });
  await until(() => document.querySelector("[role=grid]")?.getAttribute("aria-rowcount") > 10000);
  await grid.focus();
  await timed("the last rows after a jump to the end", async () => {
    await page.keyboard.press("End");
    await until(() => {
      const all = document.querySelectorAll(".run-rows .run-line");
      return all.length > 0 && document.querySelectorAll(".run-rows .run-line.waiting").length === 0
        && Number(all[all.length - 1].getAttribute("aria-rowindex")) > 10000;
    });
  });
  await page.keyboard.press("Home");
  await until(() => document.querySelectorAll(".run-rows .run-line.waiting").length === 0);

  await page.evaluate(() => {
    window.frames_ms = [];
    let before = performance.now();
    const next = (now) => {
      window.frames_ms.push(now - before);
      before = now;
      if (!window.frames_end) requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
  });
  const place = await grid.boundingBox();
  await page.mouse.move(place.x + place.width / 2, place.y + place.height / 2);
  for (let at = 0; at < WHEELS; at += 1) await page.mouse.wheel(0, WHEEL_PX);
  const { frames, top, most } = await page.evaluate(() => {
    window.frames_end = true;
    return { frames: window.frames_ms, top: document.querySelector("[role=grid]").scrollTop, most: document.querySelectorAll(".run-rows .run-line").length };
  });
  frames.sort((one, other) => one - other);
  const share = (part) => frames[Math.min(frames.length - 1, Math.floor(frames.length * part))];
  measured["scrolled"] = [top, "px"];
  measured["frames while it was scrolled"] = [frames.length, "frames"];
  measured["a frame, median"] = [share(0.5), "ms"];
  measured["a frame, p99"] = [share(0.99), "ms"];
  measured["the longest frame"] = [share(1), "ms"];
  measured["rows in the document"] = [most, "rows"];

  await page.keyboard.press("Home");
  const head = page.locator("[role=columnheader][title^=\"metrics.\"] button").first();
  await timed("another order, to its first rows", async () => {
    await head.click();
    await until(() => document.querySelector("[role=columnheader][aria-sort]") !== null
      && document.querySelector(".run-grid.busy") === null && document.querySelectorAll(".run-rows .run-line.waiting").length === 0);
  });
  if (problems.length > 0) throw new Error(problems.join("\n"));
  console.log(JSON.stringify(measured));
} finally {
  await close();
}
