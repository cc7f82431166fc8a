"""Models of MLflow's flavours, logged by its unmodified client, served by Python workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cloudpickle
import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
import tritonclient.http as triton
import xgboost
from mlflow import MlflowClient
from mlflow.models import infer_signature
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from support import processes
from support.server import Corliss, poll, temporary_home

FLOWERS, KINDS = load_iris(return_X_y=True, as_frame=True)
ROWS = FLOWERS.iloc[[0, 60, 120]]
# Workers do not know this file: models that are classes of it are stored with their code.
cloudpickle.register_pickle_by_value(sys.modules[__name__])
# A worker imports MLflow, which takes its time on a busy machine.
START_S = 300


class Fussy(mlflow.pyfunc.PythonModel):
    """Sums each row, times a parameter; refuses what is negative; ends its process at a word."""

    def predict(self, context, model_input, params=None):
        values = model_input.to_numpy()
        if (values == 666).any():
            os._exit(7)
        if (values < 0).any():
            raise ValueError("petals are not negative\nand this line is for the log")
        return values.sum(axis=1) * (params or {}).get("times", 1.0)


class Slow(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        time.sleep(float(model_input["s"].max()))
        return model_input["s"].to_numpy()


class Liar(mlflow.pyfunc.PythonModel):
    """Says that it gives a number for each row; by a word of its input it gives none, a text, or what it says."""

    def predict(self, context, model_input, params=None):
        kind = int(model_input["kind"].iloc[0])
        rows = len(model_input)
        return [np.zeros(rows), np.zeros(0), np.array(["no number"] * rows)][kind]


@pytest.fixture(scope="module")
def served() -> Iterator[Corliss]:
    """A server whose workers run in the Python of this suite, and a model of each flavour on it."""
    with temporary_home() as home:
        settings = {"CORLISS_MACHINE_CPUS": "16", "CORLISS_SERVING_PYTHON": sys.executable}
        corliss = Corliss(home, settings=settings)
        before = {name: os.environ.get(name) for name in corliss.environment | {"MLFLOW_TRACKING_URI": ""}}
        try:
            corliss.up()
            variables = corliss.variables()
            os.environ.update(variables)
            mlflow.set_tracking_uri(corliss.url)
            mlflow.set_registry_uri(corliss.url)
            log_models()
            yield corliss
            corliss.down()
            left = processes.wait_until_none(home)
            assert not left, f"processes that outlived `corliss down`: {left}"
        finally:
            for name in variables:
                os.environ.pop(name, None)
                if before.get(name) is not None:
                    os.environ[name] = before[name]
            print(f"--- last lines of the server's log\n{corliss.server_log()}")
            corliss.kill_everything()


def log_models() -> None:
    iris = LogisticRegression(max_iter=500).fit(FLOWERS, KINDS)
    trees = xgboost.XGBClassifier(n_estimators=8, max_depth=3).fit(FLOWERS.to_numpy(), KINDS)
    torch.manual_seed(1)
    net = torch.nn.Linear(4, 2)
    with mlflow.start_run(experiment_id="0"):
        mlflow.sklearn.log_model(
            iris, name="iris", serialization_format="cloudpickle", registered_model_name="iris",
            signature=infer_signature(FLOWERS, iris.predict(FLOWERS)))
        mlflow.xgboost.log_model(
            trees, name="trees", registered_model_name="trees",
            signature=infer_signature(FLOWERS.to_numpy(), trees.predict(FLOWERS.to_numpy())))
        mlflow.pytorch.log_model(
            net, name="net", registered_model_name="net", serialization_format="pickle",
            signature=infer_signature(np.zeros((1, 4), "float32"), np.zeros((1, 2), "float32")))
        mlflow.pyfunc.log_model(
            name="fussy", python_model=Fussy(), registered_model_name="fussy",
            signature=infer_signature(FLOWERS, np.zeros(3), params={"times": 1.0}))
        mlflow.pyfunc.log_model(
            name="slow", python_model=Slow(), registered_model_name="slow",
            signature=infer_signature(pd.DataFrame({"s": [0.5]}), np.zeros(1)))
        mlflow.pyfunc.log_model(
            name="liar", python_model=Liar(), registered_model_name="liar",
            signature=infer_signature(pd.DataFrame({"kind": [0.0]}), np.zeros(1)))
    for name in ("iris", "trees", "net", "fussy", "slow", "liar"):
        MlflowClient().set_registered_model_alias(name, "champion", "1")


def deploy(corliss: Corliss, name: str, *flags: str) -> None:
    corliss.cli("endpoints", "deploy", name, "--model", f"{name}@champion", *flags, "--detach")
    corliss.wait_endpoint(name, timeout_s=START_S)


@pytest.fixture(scope="module")
def iris(served: Corliss) -> Corliss:
    deploy(served, "iris", "--allow-pickle", "--batch-delay", "20ms", "--batch-prefer", "4")
    return served


@pytest.fixture(scope="module")
def fussy(served: Corliss) -> Corliss:
    # Said that it computes each row by itself, so that requests are joined.
    deploy(served, "fussy", "--allow-pickle", "--batch-max", "16", "--batch-delay", "50ms")
    return served


def local(name: str, rows: Any) -> np.ndarray:
    return np.asarray(mlflow.pyfunc.load_model(f"models:/{name}/1").predict(rows))


def split(rows: pd.DataFrame) -> dict[str, Any]:
    return {"dataframe_split": {"columns": list(rows.columns), "data": rows.to_numpy().tolist()}}


def invoke(corliss: Corliss, name: str, body: object) -> tuple[int, Any]:
    return corliss.request("POST", f"/endpoints/{name}/invocations", body)


def infer(corliss: Corliss, name: str, tensors: dict[str, list[float]], **more: Any) -> tuple[int, Any]:
    inputs = [
        {"name": name, "shape": [len(values)], "datatype": "FP64", "data": values} for name, values in tensors.items()
    ]
    return corliss.request("POST", f"/v2/models/{name}/infer", {"inputs": inputs, **more})


def workers(corliss: Corliss) -> list[int]:
    """Processes that run our script for this home."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.startswith(str(corliss.home).encode()) and word.endswith(b"/worker.py") for word in words):
            found.append(int(folder.name))
    return found


def test_scikit_learn_answers_as_it_does_locally_on_every_surface(iris: Corliss) -> None:
    expected = local("iris", ROWS).tolist()
    for body in (
        split(ROWS),
        {"dataframe_records": ROWS.to_dict("records")},
        {"instances": ROWS.to_dict("records")},
        {"inputs": {column: ROWS[column].tolist() for column in ROWS}},
    ):
        assert invoke(iris, "iris", body) == (200, {"predictions": expected}), body
    for instances in (ROWS.to_numpy().tolist(), ROWS.to_dict("records")):
        answer = iris.request("POST", "/v1/models/iris:predict", {"instances": instances})
        assert answer == (200, {"predictions": expected})
    status, answer = infer(iris, "iris", {column: ROWS[column].tolist() for column in ROWS})
    assert status == 200, answer
    assert answer["outputs"] == [{"name": "output-0", "datatype": "INT64", "shape": [3], "data": expected}]


def test_metadata_is_the_signature(iris: Corliss) -> None:
    status, about = iris.request("GET", "/v2/models/iris")
    assert status == 200 and about["platform"] == "mlflow_sklearn", about
    assert [tensor["name"] for tensor in about["inputs"]] == list(FLOWERS.columns)
    assert about["inputs"][0] | {"name": ""} == {"name": "", "datatype": "FP64", "shape": [-1]}
    assert about["outputs"] == [{"name": "output-0", "datatype": "INT64", "shape": [-1]}]
    _, config = iris.request("GET", "/v2/models/iris/config")
    assert config["backend"] == "python" and config["max_batch_size"] == 32, config
    assert config["dynamic_batching"] == {"preferred_batch_size": [4], "max_queue_delay_microseconds": 20_000}


def test_requests_are_joined_and_why_is_counted(iris: Corliss) -> None:
    body = split(ROWS.iloc[:1])
    expected = local("iris", ROWS.iloc[:1]).tolist()

    def joined() -> bool:
        with ThreadPoolExecutor(24) as clients:
            assert list(clients.map(lambda _: invoke(iris, "iris", body), range(24))) == [(200, {"predictions": expected})] * 24
        status, text = iris.request("GET", "/metrics")
        assert status == 200
        closed = [line for line in text.splitlines() if line.startswith("corliss_inference_batch_closed_total{model=\"iris\"")]
        return any('reason="preferred"' in line for line in closed)

    # On a busy machine the clients may come so far apart that no batch fills up.
    poll("a batch that was full", joined)


def test_tritonclient_sends_tensors(iris: Corliss) -> None:
    headers = {"authorization": f"Bearer {iris.token}"}
    client = triton.InferenceServerClient(iris.listen, network_timeout=60.0)
    inputs = []
    for column in FLOWERS.columns:
        # A column may also come as rows of one cell.
        tensor = triton.InferInput(column, [3, 1], "FP64")
        tensor.set_data_from_numpy(ROWS[column].to_numpy().reshape(3, 1))
        inputs.append(tensor)
    result = client.infer("iris", inputs, headers=headers, timeout=30_000_000)
    assert result.as_numpy("output-0").tolist() == local("iris", ROWS).tolist()
    client.close()


def test_pickles_need_somebodys_word_and_xgboosts_own_format_does_not(served: Corliss) -> None:
    for name in ("iris", "fussy", "net"):
        refused = served.run_cli("endpoints", "deploy", f"{name}-2", "--model", f"{name}@champion")
        assert refused.returncode != 0 and "--allow-pickle" in refused.stderr, refused
    deploy(served, "trees")
    rows = ROWS.to_numpy()
    expected = local("trees", rows).tolist()
    assert invoke(served, "trees", {"inputs": rows.tolist()}) == (200, {"predictions": expected})
    assert served.request("POST", "/v1/models/trees:predict", {"instances": rows.tolist()}) == (
        200, {"predictions": expected})


def test_pytorch_answers_as_it_does_locally(served: Corliss) -> None:
    deploy(served, "net", "--allow-pickle")
    rows = ROWS.to_numpy().astype("float32")
    status, answer = invoke(served, "net", {"inputs": rows.tolist()})
    assert status == 200, answer
    assert np.allclose(answer["predictions"], local("net", rows), atol=1e-6)


def test_parameters_of_the_signature_are_passed_on(fussy: Corliss) -> None:
    expected = (ROWS.sum(axis=1) * 3).tolist()
    status, answer = invoke(fussy, "fussy", split(ROWS) | {"params": {"times": 3.0}})
    assert status == 200 and np.allclose(answer["predictions"], expected), answer
    tensors = {column: ROWS[column].tolist() for column in ROWS}
    status, answer = infer(fussy, "fussy", tensors, parameters={"times": 3.0})
    assert status == 200 and np.allclose(answer["outputs"][0]["data"], expected), answer
    status, answer = invoke(fussy, "fussy", split(ROWS) | {"params": {"tims": 3.0}})
    assert status == 400 and "tims" in json.dumps(answer) and "times" in json.dumps(answer), answer


def test_what_raises_fails_alone_with_one_sentence(fussy: Corliss) -> None:
    good, bad = split(ROWS), split(-ROWS)
    answers: dict[int, Any] = {}
    bodies = [good, bad, good, good, bad, good]

    def ask(at: int) -> None:
        answers[at] = invoke(fussy, "fussy", bodies[at])

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for at, body in enumerate(bodies):
        status, answer = answers[at]
        if body is good:
            assert status == 200 and np.allclose(answer["predictions"], ROWS.sum(axis=1)), answer
        else:
            told = json.dumps(answer)
            assert status == 400 and "ValueError: petals are not negative" in told, answer
            assert "for the log" not in told and "Traceback" not in told, answer
    replica = next(r for r in fussy.api("/endpoints/fussy")["replicas"] if r["state"] == "ready")
    log = poll("the traceback in the log", lambda: (t := fussy.log(replica["job_id"])) and "Traceback" in t and t)
    assert "and this line is for the log" in log


def test_a_worker_that_ends_in_the_middle_fails_its_requests_and_is_replaced(fussy: Corliss) -> None:
    before = {r["id"] for r in fussy.api("/endpoints/fussy")["replicas"] if r["state"] == "ready"}
    poison = ROWS.copy()
    poison.iloc[0, 0] = 666.0
    status, answer = invoke(fussy, "fussy", split(poison))
    assert status == 503 and "Python process is gone" in json.dumps(answer), answer

    def replaced() -> bool:
        replicas = fussy.api("/endpoints/fussy")["replicas"]
        return any(r["state"] == "ready" and r["id"] not in before for r in replicas)

    poll("another replica", replaced, timeout_s=START_S)
    assert invoke(fussy, "fussy", split(ROWS))[0] == 200


def test_kill_9_of_a_worker_with_requests_on_their_way(served: Corliss) -> None:
    deploy(served, "slow", "--allow-pickle")
    killed = [pid for pid in workers(served) if is_of(served, pid, "slow")]
    assert len(killed) == 1, killed
    answers: list[tuple[int, Any]] = []
    body = split(pd.DataFrame({"s": [20.0]}))
    asking = threading.Thread(target=lambda: answers.append(invoke(served, "slow", body)))
    asking.start()
    poll("the request to arrive", lambda: any(
        r["in_flight"] for r in served.api("/endpoints/slow")["replicas"]), timeout_s=30)
    os.kill(killed[0], signal.SIGKILL)
    asking.join(timeout=15)
    assert answers and answers[0][0] == 503, answers
    served.wait_endpoint("slow", timeout_s=START_S)
    poll("an answer again", lambda: invoke(
        served, "slow", split(pd.DataFrame({"s": [0.25]}))) == (200, {"predictions": [0.25]}), timeout_s=START_S)


def test_a_late_answer_is_none_and_loading_keeps_what_was_let_in(served: Corliss) -> None:
    deploy(served, "slow", "--allow-pickle")

    def infer(seconds: float, timeout_us: int) -> tuple[int, float]:
        tensor = {"name": "s", "datatype": "FP64", "shape": [1, 1], "data": [seconds]}
        begin = time.monotonic()
        status, _ = served.request("POST", "/v2/models/slow/infer", {"inputs": [tensor], "parameters": {"timeout": timeout_us}})
        return status, time.monotonic() - begin

    poll("it answers", lambda: infer(0.01, 60_000_000)[0] == 200, timeout_s=START_S)
    # Computed for 20 s, and of use for less than one; then one that waits behind it.
    for seconds in (20.0, 0.01):
        status, took = infer(seconds, 500_000)
        assert status == 504 and took < 15, (status, took)
    assert served.request("POST", "/v2/repository/models/slow/load", {})[0] == 200


def test_an_answer_that_breaks_the_signature_is_a_fault_of_the_model(served: Corliss) -> None:
    deploy(served, "liar", "--allow-pickle")

    def rows(kind: float) -> dict[str, Any]:
        return split(pd.DataFrame({"kind": [kind] * 3}))

    assert invoke(served, "liar", rows(0)) == (200, {"predictions": [0.0, 0.0, 0.0]})
    for kind, came in ((1, "FP64 of shape [0] came"), (2, "BYTES of shape [3] came")):
        status, answer = invoke(served, "liar", rows(kind))
        assert (status, answer["error_code"]) == (500, "INTERNAL_ERROR"), answer
        assert "'output-0' is declared as FP64 of shape [-1]" in answer["message"], answer
        assert came in answer["message"] and "infer_signature" in answer["message"], answer
        status, answer = infer(served, "liar", {"kind": [float(kind)] * 3})
        assert status == 500 and came in answer["error"], answer
    # The next one is answered as ever.
    assert invoke(served, "liar", rows(0))[0] == 200


def is_of(corliss: Corliss, pid: int, name: str) -> bool:
    """Whether the engine above a worker is that of this endpoint."""
    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
    words = Path(f"/proc/{parent}/cmdline").read_bytes().decode().split("\0")
    return words[words.index("--name") + 1] == name


def test_a_worker_ends_with_its_engine_and_sees_no_secret(iris: Corliss) -> None:
    worker = next(pid for pid in workers(iris) if is_of(iris, pid, "iris"))
    variables = Path(f"/proc/{worker}/environ").read_bytes().decode()
    assert "CORLISS" not in variables and "TOKEN" not in variables, variables
    engine = int(Path(f"/proc/{worker}/stat").read_text().rpartition(") ")[2].split()[1])
    os.kill(engine, signal.SIGKILL)
    poll("the worker to be gone", lambda: worker not in workers(iris), timeout_s=10)
    poll("answers again", lambda: invoke(iris, "iris", split(ROWS))[0] == 200, timeout_s=START_S)


def test_after_kill_9_of_the_server_models_go_on_and_no_worker_is_left_over(iris: Corliss) -> None:
    iris.kill_server()
    iris.up()
    poll("answers again", lambda: invoke(iris, "iris", split(ROWS))[0] == 200, timeout_s=START_S)
    names = [endpoint["name"] for endpoint in iris.api("/endpoints")["items"]]
    for name in names:
        iris.wait_endpoint(name, timeout_s=START_S)
    poll("one worker for each endpoint", lambda: len(workers(iris)) == len(names), timeout_s=60)


def test_other_settings_replace_the_replicas(iris: Corliss) -> None:
    before = {r["id"] for r in iris.api("/endpoints/iris")["replicas"]}
    deploy(iris, "iris", "--allow-pickle", "--batch-max", "1", "--instances", "2")
    poll("replicas with these settings", lambda: iris.request(
        "GET", "/v2/models/iris/config")[1].get("max_batch_size") == 0, timeout_s=START_S)
    endpoint = iris.api("/endpoints/iris")
    assert endpoint["batching"] == {"rows_max": 1, "instances": 2}
    assert not before & {r["id"] for r in endpoint["replicas"] if r["state"] == "ready"}
    assert sum(is_of(iris, pid, "iris") for pid in workers(iris)) == 2


@pytest.mark.parametrize(
    "flags, clue",
    [
        (["--batch-max", "0"], "between 1 and 4096"),
        (["--batch-delay", "2"], "2ms"),
        (["--batch-max", "8", "--batch-prefer", "16"], "--batch-prefer is 16, which no batch reaches: --batch-max is 8"),
        (["--batch-prefer", "16,64"], "--batch-prefer is 64, which no batch reaches: --batch-max is 32"),
        (["--instances", "1000"], "between 1 and 64"),
    ],
)
def test_settings_that_cannot_be_are_refused(served: Corliss, flags: list[str], clue: str) -> None:
    refused = served.run_cli("endpoints", "deploy", "iris-3", "--model", "iris@champion", "--allow-pickle", *flags)
    assert refused.returncode == 2 and clue in refused.stderr, refused


def test_an_environment_is_made_once_for_a_model(tmp_path: Path) -> None:
    reached = subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", tmp_path, "mlflow-skinny==" + mlflow.__version__],
        capture_output=True, text=True, check=False)
    if reached.returncode != 0:
        pytest.skip(f"no package index is reached: {reached.stderr[-200:]}")
    with temporary_home() as home:
        corliss = Corliss(home)
        try:
            corliss.up()
            os.environ.update(corliss.variables())
            mlflow.set_tracking_uri(corliss.url)
            mlflow.set_registry_uri(corliss.url)
            with mlflow.start_run(experiment_id="0"):
                mlflow.pyfunc.log_model(
                    name="sum", python_model=Fussy(), registered_model_name="sum",
                    pip_requirements=["mlflow-skinny==" + mlflow.__version__, "pandas", "cloudpickle"],
                    signature=infer_signature(FLOWERS, np.zeros(3)))
            corliss.cli("endpoints", "deploy", "sum", "--model", "sum/1", "--replicas", "2", "--allow-pickle", "--detach")
            told = poll("the installation to be told", lambda: [
                r["reason"] for r in corliss.api("/endpoints/sum")["replicas"] if "install" in (r["reason"] or "")],
                timeout_s=120)
            assert "mlflow-skinny==" in told[0], told
            corliss.wait_endpoint("sum", timeout_s=900)
            status, answer = invoke(corliss, "sum", split(ROWS))
            assert status == 200 and np.allclose(answer["predictions"], ROWS.sum(axis=1)), answer
            environments = home / "work/environments"
            assert len([f for f in environments.iterdir() if f.is_dir()]) == 1, list(environments.iterdir())
            corliss.down()
            assert not processes.wait_until_none(home)
        finally:
            corliss.kill_everything()
