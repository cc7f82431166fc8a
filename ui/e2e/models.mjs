// A model of its own, made by the API: what its files are, approval demanded, refused and given, and the history of that.
import assert from "node:assert/strict";

const MLMODEL = `flavors:
  sklearn: {pickled_model: model.pkl}
saved_input_example_info: {artifact_path: input_example.json}
signature:
  inputs: '[{"type": "double", "name": "petal"}]'
`;

/** A version with a whole file, a pickle and a damaged file. */
async function seed(call, name) {
  const { run } = await call("POST", "mlflow/runs/create", { experiment_id: "0", run_name: "fit" });
  const root = `0/${run.info.run_id}/artifacts/model`;
  const header = '{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}';
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const tensors = Buffer.concat([length, Buffer.from(`${header}ab`)]);
  const files = { MLmodel: MLMODEL, "input_example.json": '{"petal": 1.5}', "model.pkl": "cos\nsystem\n.", "model.safetensors": tensors, "cut.safetensors": tensors.subarray(0, 40) };
  for (const [path, content] of Object.entries(files)) await call("PUT", `mlflow-artifacts/artifacts/${root}/${path}`, Buffer.from(content));
  await call("POST", "mlflow/registered-models/create", { name });
  await call("POST", "mlflow/model-versions/create", { name, source: `mlflow-artifacts:/${root}`, run_id: run.info.run_id });
}

/** `problems` keeps what the browser reported, less the refusal that is asked for here. */
export async function checkModels({ page, problems, url, token, visit, shot, noSidewaysScroll }) {
  const call = async (method, path, body) => {
    const raw = Buffer.isBuffer(body);
    const response = await page.request.fetch(`${url}/api/2.0/${path}`, { method, data: body, headers: { authorization: `Bearer ${token}`, "content-type": raw ? "application/octet-stream" : "application/json" } });
    if (!response.ok()) throw new Error(`${method} ${path} answered ${response.status()}: ${await response.text()}`);
    return response.json();
  };
  const name = `console-e2e-${Date.now()}`;
  await seed(call, name);
  await visit(`/models/${name}`);
  const panel = (title) => page.getByRole("region", { name: title, exact: true });
  const row = (title, text) => panel(title).getByRole("row").filter({ hasText: text });

  // Marks have words, the worst first.
  await row("Files", "cut.safetensors").getByText("damaged", { exact: true }).waitFor();
  await row("Files", "model.pkl").getByText("unsafe", { exact: true }).waitFor();
  await row("Files", "model.safetensors").getByText("verified", { exact: true }).waitFor();
  assert.match(await row("Files", "cut.safetensors").innerText(), /at byte/);
  await row("Versions", "damaged").waitFor();
  await panel("Signature").getByText("petal", { exact: true }).waitFor();
  await panel("Signature").getByText('{"petal": 1.5}').waitFor();
  await panel("Files").getByRole("button", { name: "Look again" }).click();
  await row("History", "looked at the files of version 1").waitFor();

  // Whoever registered it does not approve it, unless that is said.
  await panel("Protection").getByRole("button", { name: "Require approval" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Require it" }).click();
  await panel("Protection").getByText("not by whoever registered it").waitFor();
  await panel("Approval").getByText("It has 0 of the 1 approvals that it needs.").waitFor();
  await panel("Approval").getByRole("button", { name: "Approve" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Approve it" }).click();
  await page.getByRole("dialog").getByText("somebody else approves it").waitFor();
  await shot("model-own-refused");
  await page.getByRole("dialog").getByRole("button", { name: "Back" }).click();
  await panel("Protection").getByRole("button", { name: "Change it" }).click();
  await page.getByRole("dialog").getByRole("checkbox").check();
  await page.getByRole("dialog").getByRole("button", { name: "Require it" }).click();
  await panel("Protection").getByText("also by whoever registered it").waitFor();
  await panel("Approval").getByRole("button", { name: "Approve" }).click();
  await page.getByRole("dialog").getByRole("textbox", { name: "Why" }).fill("looked at it");
  await page.getByRole("dialog").getByRole("button", { name: "Approve it" }).click();
  await panel("Approval").getByText("It has the approvals that it needs.").waitFor();
  await row("Approval", "looked at it").getByText("approved", { exact: true }).waitFor();
  await row("History", "approved version 1: looked at it").waitFor();
  await shot("model-approved");
  await page.setViewportSize({ width: 390, height: 800 });
  await noSidewaysScroll("a model with files and approvals");
  await page.setViewportSize({ width: 1360, height: 860 });

  await panel("Protection").getByRole("button", { name: "End protection" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "End it" }).click();
  await panel("Protection").getByRole("button", { name: "Require approval" }).waitFor();
  await visit("/models");
  await call("DELETE", "mlflow/registered-models/delete", { name });
  const others = problems.filter((problem) => !/status of 403.*decisions/.test(problem));
  problems.splice(0, problems.length, ...others);
}
