// Who used what: told by what is asked for, as a picture, a table and a file that agree.
import assert from "node:assert/strict";

export async function checkUsage({ page, visit, project }) {
  await visit("/queue");
  await page.getByRole("tab", { name: "Usage" }).click();
  assert.equal(new URL(page.url()).searchParams.get("tab"), "usage", "the tab is in the address");
  await page.getByRole("combobox", { name: "by", exact: true }).selectOption("project");
  const line = page.getByRole("row", { name: new RegExp(`^${project} `) });
  await line.waitFor();
  await page.getByRole("img", { name: /^CPU hours by day/ }).waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "CSV" }).click()]);
  assert.equal(download.suggestedFilename(), "usage-by-project.csv");
  const [head, ...rows] = (await new Response(await download.createReadStream()).text()).trim().split("\r\n").map((text) => text.split(","));
  const at = (name) => head.indexOf(name);
  const own = rows.filter((row) => row[at("project")] === project);
  assert(own.length > 0 && own.every((row) => Number(row[at("cpu_hours")]) > 0), "the project held CPUs on each of its days");
  const jobs = Number(await line.getByRole("cell").nth(1).innerText());
  assert(jobs >= 1 && jobs <= own.reduce((sum, row) => sum + Number(row[at("jobs")]), 0), "the table's jobs are those of the days");
}

/** The machine as nodes: told with what it has, and read aloud. */
export async function checkNodes({ page, visit }) {
  await visit("/queue?tab=nodes");
  await page.getByRole("heading", { name: "Nodes" }).waitFor();
  await page.getByRole("heading", { name: "local" }).waitFor();
  await page.getByRole("meter", { name: "CPU" }).waitFor();
}
