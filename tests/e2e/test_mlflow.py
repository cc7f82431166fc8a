"""The unmodified mlflow client against tracking and registry. The same calls were run against MLflow's own
server, which passes all but the one about tokens."""

from __future__ import annotations

import math
import random
import re
import struct
import uuid
from pathlib import Path

import mlflow
import pytest
import requests
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

from support.server import Corliss, poll


@pytest.fixture
def experiment(client: MlflowClient) -> str:
    return client.create_experiment(f"e-{uuid.uuid4().hex[:8]}")


def test_a_run_reads_back_what_was_logged(client: MlflowClient, experiment: str, tmp_path: Path) -> None:
    (tmp_path / "plot.txt").write_text("a plot")
    with mlflow.start_run(experiment_id=experiment, run_name="first") as run:
        mlflow.log_params({"rate": 3e-3, "layers": 4})
        for step in range(10):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.set_tag("colour", "blue")
        mlflow.log_artifact(str(tmp_path / "plot.txt"), artifact_path="plots")
        mlflow.log_dict({"a": [1, 2]}, "made/dict.json")
    read = client.get_run(run.info.run_id)
    assert read.info.status == "FINISHED" and read.info.run_name == "first"
    assert read.data.params == {"rate": "0.003", "layers": "4"}
    assert read.data.metrics["loss"] == pytest.approx(0.1)
    assert read.data.tags["colour"] == "blue"
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(i, 1 / (i + 1)) for i in range(10)]
    assert {item.path for item in client.list_artifacts(run.info.run_id)} == {"plots", "made"}
    (plot,) = client.list_artifacts(run.info.run_id, "plots")
    assert (plot.path, plot.file_size) == ("plots/plot.txt", 6)
    fetched = client.download_artifacts(run.info.run_id, "plots/plot.txt", str(tmp_path))
    assert Path(fetched).read_text() == "a plot"
    assert mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/made/dict.json") == {"a": [1, 2]}


def test_a_batch_and_numbers_that_are_none(client: MlflowClient, experiment: str) -> None:
    run = client.create_run(experiment).info.run_id
    client.log_batch(
        run, metrics=[Metric("m", float(i), 1000 + i, i) for i in range(1000)],
        params=[Param(f"p{i}", "x") for i in range(100)], tags=[RunTag("t", "v")],
    )
    client.log_metric(run, "odd", math.nan, step=0)
    client.log_metric(run, "odd", math.inf, step=1)
    history = client.get_metric_history(run, "odd")
    assert math.isnan(history[0].value) and history[1].value > 1.7e308  # MLflow keeps infinity as the largest number
    assert len(client.get_metric_history(run, "m")) == 1000
    client.set_terminated(run, "FAILED")
    assert client.get_run(run).info.status == "FAILED"


def test_runs_are_found_by_what_they_hold(client: MlflowClient, experiment: str) -> None:
    for i in range(5):
        with mlflow.start_run(experiment_id=experiment):
            mlflow.log_metric("score", i)
            mlflow.log_param("kind", "even" if i % 2 == 0 else "odd")
    found = client.search_runs([experiment], "metrics.score >= 2 and params.kind = 'even'", order_by=["metrics.score DESC"])
    assert [run.data.metrics["score"] for run in found] == [4, 2]
    first = client.search_runs([experiment], max_results=2, order_by=["metrics.score ASC"])
    second = client.search_runs([experiment], max_results=2, order_by=["metrics.score ASC"], page_token=first.token)
    assert [run.data.metrics["score"] for run in [*first, *second]] == [0, 1, 2, 3]
    with pytest.raises(MlflowException):
        client.search_runs([experiment], "metrics.score ! 2")


def test_what_is_deleted_is_hidden_and_comes_back(client: MlflowClient, experiment: str) -> None:
    run = client.create_run(experiment).info.run_id
    client.delete_run(run)
    assert client.search_runs([experiment]) == []
    assert [one.info.run_id for one in client.search_runs([experiment], run_view_type=ViewType.DELETED_ONLY)] == [run]
    client.restore_run(run)
    assert [one.info.run_id for one in client.search_runs([experiment])] == [run]


def test_refusals_are_mlflows_own(client: MlflowClient, experiment: str) -> None:
    with pytest.raises(MlflowException) as absent:
        client.get_run("0" * 32)
    assert absent.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    name = client.get_experiment(experiment).name
    with pytest.raises(MlflowException) as twice:
        client.create_experiment(name)
    assert twice.value.error_code == "RESOURCE_ALREADY_EXISTS"
    run = client.create_run(experiment).info.run_id
    client.log_param(run, "p", "1")
    with pytest.raises(MlflowException):
        client.log_param(run, "p", "2")
    with pytest.raises(MlflowException):
        client.log_metric(run, "../up", 1.0)


def test_a_path_out_of_the_artifacts_is_refused(shared: Corliss, client: MlflowClient, experiment: str) -> None:
    run = client.create_run(experiment).info.run_id
    for path in ("../../credentials", "/etc/passwd", "a/../../../x", "%2e%2e/x"):
        with pytest.raises((MlflowException, requests.HTTPError)):
            client.list_artifacts(run, path)
        status, _ = shared.request("GET", f"/api/2.0/mlflow-artifacts/artifacts/{path}")
        assert 400 <= status < 500, (path, status)


def test_a_model_version_carries_its_run(client: MlflowClient, experiment: str, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"onnx")
    with mlflow.start_run(experiment_id=experiment) as run:
        mlflow.log_artifact(str(tmp_path / "model.onnx"), "model")
    name = f"m-{uuid.uuid4().hex[:8]}"
    client.create_registered_model(name)
    version = client.create_model_version(name, f"{run.info.artifact_uri}/model", run_id=run.info.run_id)
    assert (int(version.version), version.run_id) == (1, run.info.run_id)
    client.set_registered_model_alias(name, "champion", "1")
    assert int(client.get_model_version_by_alias(name, "champion").version) == 1
    assert {alias: int(number) for alias, number in client.get_registered_model(name).aliases.items()} == {"champion": 1}
    client.delete_registered_model_alias(name, "champion")
    with pytest.raises(MlflowException):
        client.get_model_version_by_alias(name, "champion")


def test_without_a_token_nothing_is_answered(shared: Corliss, client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "wrong")
    with pytest.raises(MlflowException):
        MlflowClient().search_experiments()


def test_what_was_deleted_goes_for_good_when_it_is_purged(
    shared: Corliss, client: MlflowClient, experiment: str
) -> None:
    with mlflow.start_run(experiment_id=experiment) as run:
        mlflow.log_metric("loss", 0.5)
        mlflow.log_text("notes", "notes.txt")
    mlflow.set_experiment(experiment_id=experiment)
    with mlflow.start_span("answer") as span:
        span.set_outputs(42)
    mlflow.flush_trace_async_logging()
    assert client.get_trace(span.trace_id).data.spans[0].outputs == 42
    client.delete_experiment(experiment)
    assert experiment in shared.cli("experiments", "list", "--deleted")
    purge = ("experiments", "purge", "--experiment", experiment, "--older-than-days")
    assert "removed 0 runs" in shared.cli(*purge, "1", "--yes")
    client.restore_experiment(experiment)
    client.delete_experiment(experiment)
    assert "would remove 1 run, 0 logged models, 1 experiment and 1 trace for good" in shared.cli(*purge, "0", "--dry-run")
    assert shared.run_cli(*purge, "0").returncode == 2, "nobody is there to be asked"
    told = shared.cli(*purge, "0", "--yes")
    assert "removed 1 run, 0 logged models, 1 experiment and 1 trace for good" in told, told
    assert "two weeks after they were written" in told, told
    # The run's file, and that of the trace if its spans came late.
    assert re.search(r"1 artifact with 5 B|2 artifacts with \d+ B", told), told
    for gone in (lambda: client.get_run(run.info.run_id), lambda: client.restore_experiment(experiment)):
        with pytest.raises(MlflowException, match="not found|exists"):
            gone()
    unknown = shared.run_cli(*purge, "0", "--yes")
    assert unknown.returncode == 5, unknown
    assert f"there is no experiment '{experiment}'" in unknown.stderr and "experiments list --deleted" in unknown.stderr, unknown
    poll("its traces to go too", lambda: is_gone(client, span.trace_id))


def is_gone(client: MlflowClient, trace_id: str) -> bool:
    try:
        client.get_trace(trace_id)
    except MlflowException:
        return True
    return False


def test_numbers_come_back_bit_for_bit(client: MlflowClient) -> None:
    """The shortest text of a double, read by a hasty parser, is off by a bit for every fifth."""
    dice = random.Random(7)
    values = [dice.random() for _ in range(500)] + [number / 7 for number in range(500)]
    values += [number for number in (struct.unpack("<d", dice.randbytes(8))[0] for _ in range(300)) if math.isfinite(number)]
    run = client.create_run("0").info.run_id
    points = [Metric("exact", value, 1_760_000_000_000 + step, step) for step, value in enumerate(values)]
    for first in range(0, len(points), 1000):
        client.log_batch(run, metrics=points[first : first + 1000])
    assert [point.value for point in client.get_metric_history(run, "exact")] == values
    client.log_metric(run, "last", 100.28571428571429)
    assert client.get_run(run).data.metrics["last"] == 100.28571428571429
    found = client.search_runs(["0"], "metrics.last = 100.28571428571429")
    assert [one.info.run_id for one in found] == [run]
