"""Stores that the real mlflow client made, and event files, moved in: every run is compared field by field through the
client, a command that is killed goes on, and what is here already is not sent twice."""

from __future__ import annotations

import json
import math
import struct
import subprocess
import time
from pathlib import Path
from typing import Any, Iterator

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import (
    Dataset, DatasetInput, InputTag, LoggedModelOutput, LoggedModelParameter, LoggedModelStatus, LoggedModelTag, Metric,
    Param, RunStatus, ViewType,
)

from support.postgres import postgres
from support.server import Corliss

HISTORY = 5000


@pytest.fixture(autouse=True)
def client_settings(shared: Corliss, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    # A client without an address makes a database where it stands.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", shared.token)
    yield
    mlflow.set_tracking_uri(None)


def make_store(uri: str, artifacts: Path, name: str, runs: int = 3) -> MlflowClient:
    """An experiment of this name with everything that a run can have, and a registered model of it."""
    client = MlflowClient(uri, registry_uri=uri)
    # Where a folder looks for the logged model of a version.
    mlflow.set_tracking_uri(uri)
    location = None if uri.startswith("file:") else artifacts.joinpath(name).as_uri()
    experiment = client.create_experiment(name, artifact_location=location, tags={"team": "a: b"})
    for number in range(runs):
        run = client.create_run(experiment, run_name=f"run '{number}'", start_time=1000 + number, tags={"k/x": "ü"})
        run_id = run.info.run_id
        client.log_batch(
            run_id,
            metrics=[Metric("val/loss", math.sin(step) / 3, 2000 + step, step) for step in range(100)],
            params=[Param("lr/rate", "0.1"), Param("lines", "a\nb")],
        )
        for value, step in [(math.nan, 0), (math.inf, 1), (-math.inf, 2)]:
            client.log_metric(run_id, "bad", value, timestamp=3000 + step, step=step)
        dataset = Dataset("set", "abc", "local", "{}", schema='{"a": 1}', profile=None)
        client.log_inputs(run_id, datasets=[DatasetInput(dataset, [InputTag("mlflow.data.context", "train")])])
        client.log_text(run_id, "hello" * number, "notes/a b.txt")
        client.log_text(run_id, "weights", "model/weights.bin")
        client.set_terminated(run_id, RunStatus.to_string(RunStatus.FAILED if number else RunStatus.FINISHED), 9000)
    made = client.search_runs([experiment], order_by=["attributes.start_time"])
    model = client.create_logged_model(
        experiment, name="net", source_run_id=made[0].info.run_id, tags={"t": "u"}, params={"p": "q"}
    )
    (artifacts / "MLmodel").write_text("flavors: {}\n")
    client.log_model_artifact(model.model_id, str(artifacts / "MLmodel"))
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    client.log_outputs(made[0].info.run_id, [LoggedModelOutput(model.model_id, 3)])
    client.create_registered_model(name, tags={"kind": "net"}, description="a net")
    client.create_model_version(name, f"models:/{model.model_id}", made[0].info.run_id, model_id=model.model_id)
    client.create_model_version(name, f"{made[1].info.artifact_uri}/model", made[1].info.run_id, tags={"vt": "vv"})
    client.create_model_version(name, f"{made[1].info.artifact_uri}/model", made[1].info.run_id)
    client.delete_model_version(name, "2")
    client.set_registered_model_alias(name, "live", "3")
    client.delete_run(made[-1].info.run_id)
    client.delete_experiment(client.create_experiment(f"{name} old", location, tags={}))
    return client


def shown(value: float) -> str:
    """A number such that not-a-number is itself; a database of MLflow holds the largest number for infinity."""
    return repr(math.copysign(math.inf, value) if abs(value) >= 1.797e308 else value)


def described(client: MlflowClient, experiment: str) -> dict[str, Any]:
    """All that a client can see of an experiment, by what does not depend on where it lies."""
    found = client.get_experiment_by_name(experiment)
    runs = {}
    for run in client.search_runs([found.experiment_id], run_view_type=ViewType.ALL):
        info, data = run.info, run.data
        history = {
            key: sorted((p.timestamp, p.step, shown(p.value)) for p in client.get_metric_history(info.run_id, key))
            for key in data.metrics
        }
        runs[info.run_id] = {
            "info": (info.run_name, info.user_id, info.status, info.start_time, info.end_time, info.lifecycle_stage),
            "params": data.params,
            "tags": data.tags,
            "latest": {key: shown(value) for key, value in data.metrics.items()},
            "history": {key: sorted(set(points)) for key, points in history.items()},
            "datasets": [
                (dict(i.dataset), [(tag.key, tag.value) for tag in i.tags]) for i in run.inputs.dataset_inputs
            ],
            "outputs": [(o.model_id, o.step) for o in run.outputs.model_outputs],
            "artifacts": files(client, info.run_id),
        }
    models = client.search_logged_models([found.experiment_id])
    return {
        "experiment": (found.name, found.lifecycle_stage, found.creation_time, found.tags),
        "runs": runs,
        "models": {
            m.model_id: (m.name, str(m.status), m.creation_timestamp, m.source_run_id, m.params, m.tags) for m in models
        },
    }


def files(client: MlflowClient, run_id: str, path: str | None = None) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in client.list_artifacts(run_id, path):
        found |= files(client, run_id, entry.path) if entry.is_dir else {entry.path: entry.file_size}
    return found


def registered(client: MlflowClient, name: str) -> dict[str, Any]:
    model = client.get_registered_model(name)
    versions = client.search_model_versions(f"name = '{name}'")
    return {
        "model": (model.description, model.tags, {k: int(v) for k, v in model.aliases.items()}, model.creation_timestamp),
        "versions": {
            int(v.version): (v.run_id, v.tags, v.current_stage, v.creation_timestamp, sorted(v.aliases))
            # A database of MLflow has aliases only in answers about one version.
            for v in (client.get_model_version(name, found.version) for found in versions)
        },
    }


def report(corliss: Corliss, *arguments: str | Path, code: int = 0) -> dict[str, Any]:
    done = corliss.run_cli("experiments", "import", *arguments, "--json", timeout_s=240)
    assert done.returncode == code, f"{done.returncode}: {done.stdout}{done.stderr}"
    return json.loads(done.stdout)


def counts(answer: dict[str, Any], side: str, *names: str) -> list[int]:
    return [answer[side][name] for name in names]


def moved_whole(corliss: Corliss, store: str, source: MlflowClient, name: str, *arguments: str | Path) -> None:
    """Moves a store in, compares everything, and moves it in again."""
    here = MlflowClient(corliss.url, registry_uri=corliss.url)
    dry = report(corliss, "mlflow", store, "--dry-run", *arguments)
    assert dry["here"]["runs"] == 0 and dry["source"]["runs"] == 3, dry
    assert here.get_experiment_by_name(name) is None
    first = report(corliss, "mlflow", store, *arguments)
    assert first["source"] == first["here"], first
    assert first["differences"] == [] and first["sent"]["runs"] == 3, first
    assert counts(first, "here", "logged_models", "registered_models", "model_versions", "artifacts") == [1, 1, 2, 7]
    for experiment in [name, f"{name} old"]:
        assert described(here, experiment) == described(source, experiment)
    assert registered(here, name) == registered(source, name)
    run = here.search_runs([here.get_experiment_by_name(name).experiment_id], order_by=["start_time"])[0].info.run_id
    assert Path(here.download_artifacts(run, "model/weights.bin")).read_text() == "weights"
    again = report(corliss, "mlflow", store, *arguments)
    assert again["here"] == first["here"] and set(again["sent"].values()) == {0}, again
    assert again["differences"] == []
    # What was added to the source since comes, and nothing else.
    source.log_metric(run, "val/loss", 0.5, timestamp=9999, step=1000)
    more = report(corliss, "mlflow", store, *arguments)
    assert more["sent"]["runs"] == 1 and more["source"] == more["here"], more
    assert described(here, name) == described(source, name)


def test_a_folder(shared: Corliss, tmp_path: Path) -> None:
    folder = tmp_path / "mlruns"
    source = make_store(folder.as_uri(), tmp_path, "in a folder")
    moved_whole(shared, str(folder), source, "in a folder")


def test_a_sqlite_file(shared: Corliss, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/mlflow.db"
    source = make_store(store, tmp_path, "in a file")
    moved_whole(shared, store, source, "in a file")


def test_a_postgresql_database(shared: Corliss, tmp_path: Path) -> None:
    with postgres() as url:
        store = url.replace("postgres://", "postgresql+psycopg2://")
        source = make_store(store, tmp_path, "in a database")
        # The artifacts were copied from another machine.
        tmp_path.joinpath("in a database").rename(tmp_path / "copied")
        described_before = tmp_path / "copied"
        first = report(shared, "mlflow", store, "--experiment", "in a database", code=1)
        assert "cannot be reached from here" in first["differences"][-1], first["differences"]
        tmp_path.joinpath("copied").rename(tmp_path / "in a database")
        assert not described_before.exists()
        whole = report(shared, "mlflow", store, "--artifacts", tmp_path / "in a database")
        assert whole["source"] == whole["here"] and whole["differences"] == [], whole
        here = MlflowClient(shared.url, registry_uri=shared.url)
        assert described(here, "in a database") == described(source, "in a database")
        assert registered(here, "in a database") == registered(source, "in a database")


def test_a_killed_command_goes_on(shared: Corliss, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/mlflow.db"
    source = MlflowClient(store)
    experiment = source.create_experiment("killed", tmp_path.joinpath("killed").as_uri())
    for number in range(30):
        run_id = source.create_run(experiment).info.run_id
        for first in range(0, HISTORY, 1000):
            steps = range(first, first + 1000)
            source.log_batch(run_id, metrics=[Metric("loss", step / 7, step, step) for step in steps])
        source.log_text(run_id, "x" * 1000, f"{number}.txt")
    command = [str(shared.binary), "experiments", "import", "mlflow", store]
    here = MlflowClient(shared.url)
    kills = 0
    for delay in (0.3, 0.8, 1.5):
        working = subprocess.Popen(command, env=shared.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        kills += working.poll() is None
        working.kill()
        working.wait()
    assert kills, "it was done before it could be killed"
    whole = report(shared, "mlflow", store)
    assert whole["source"] == whole["here"] and whole["differences"] == [], whole
    assert counts(whole, "here", "runs", "metric_points", "artifacts") == [30, 30 * HISTORY, 30]
    assert described(here, "killed") == described(source, "killed")
    assert set(report(shared, "mlflow", store)["sent"].values()) == {0}


def test_what_is_here_is_not_mixed_up(shared: Corliss, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/mlflow.db"
    source = MlflowClient(store)
    # Where other files of this experiment would lie is there, so that a run without a folder has no files.
    (tmp_path / "mixed").mkdir()
    source.create_run(source.create_experiment("mixed", tmp_path.joinpath("mixed").as_uri()))
    here = MlflowClient(shared.url)
    mine = here.create_run(here.create_experiment("mixed")).info.run_id
    refused = shared.run_cli("experiments", "import", "mlflow", store)
    assert refused.returncode == 1 and "holds something else" in refused.stderr, refused.stderr
    assert "--merge" in refused.stderr and "--into" in refused.stderr
    report(shared, "mlflow", store, "--experiment", "mixed", "--into", "unmixed")
    assert len(here.search_runs([here.get_experiment_by_name("unmixed").experiment_id])) == 1
    assert [run.info.run_id for run in here.search_runs([here.get_experiment_by_name("mixed").experiment_id])] == [mine]
    misspelt = shared.run_cli("experiments", "import", "mlflow", store, "--experiment", "mixd")
    assert misspelt.returncode == 5 and "did you mean 'mixed'?" in misspelt.stderr
    no_store = shared.run_cli("experiments", "import", "mlflow", tmp_path / "nowhere")
    assert no_store.returncode == 5 and "nowhere" in no_store.stderr


# TensorBoard


def crc32c(data: bytes) -> int:
    total = 0xFFFFFFFF
    for byte in data:
        total ^= byte
        for _ in range(8):
            total = total >> 1 ^ (0x82F63B78 if total & 1 else 0)
    total ^= 0xFFFFFFFF
    return (((total >> 15) | (total << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def scalar(tag: str, value: float, wall_time: float, step: int) -> bytes:
    """An event with a scalar, in the framing of event files."""
    name = tag.encode()
    shown = b"\x0a" + bytes([len(name)]) + name + b"\x15" + struct.pack("<f", value)
    summary = b"\x0a" + bytes([len(shown)]) + shown
    event = b"\x09" + struct.pack("<d", wall_time) + b"\x10" + bytes([step]) + b"\x2a" + bytes([len(summary)]) + summary
    length = struct.pack("<Q", len(event))
    return length + struct.pack("<I", crc32c(length)) + event + struct.pack("<I", crc32c(event))


def test_event_files(shared: Corliss, tmp_path: Path) -> None:
    for run in ("train", "eval/deep"):
        folder = tmp_path / "logs" / run
        folder.mkdir(parents=True)
        events = [scalar("loss", 1 / (step + 1), 100.0 + step, step) for step in range(50)]
        (folder / "events.out.tfevents.1.host").write_bytes(b"".join(events))
    cut = tmp_path / "logs/train/events.out.tfevents.2.host"
    cut.write_bytes(scalar("loss", math.nan, 300.0, 100) + scalar("loss", 1.0, 301.0, 101)[:-3])
    arguments = ["tensorboard", tmp_path / "logs", "--experiment", "boards"]
    first = report(shared, *arguments)
    assert counts(first, "here", "experiments", "runs", "metric_points") == [1, 2, 101], first
    assert first["differences"] == [] and "is not complete" in first["notices"][0], first
    here = MlflowClient(shared.url)
    found = here.search_runs([here.get_experiment_by_name("boards").experiment_id], order_by=["attributes.run_name"])
    assert [run.info.run_name for run in found] == ["eval/deep", "train"]
    history = here.get_metric_history(found[0].info.run_id, "loss")
    assert [(p.step, p.timestamp) for p in history] == [(step, 100_000 + 1000 * step) for step in range(50)]
    assert history[2].value == struct.unpack("<f", struct.pack("<f", 1 / 3))[0]
    assert (found[1].info.start_time, found[1].info.end_time, found[1].info.status) == (100_000, 300_000, "FINISHED")
    assert math.isnan(found[1].data.metrics["loss"])
    assert set(report(shared, *arguments)["sent"].values()) == {0}
    # The writer goes on.
    cut.write_bytes(scalar("loss", math.nan, 300.0, 100) + scalar("loss", 1.0, 301.0, 101))
    more = report(shared, *arguments)
    assert (more["sent"]["runs"], more["here"]["metric_points"], more["notices"]) == (1, 102, []), more
    # Damage is told, and what stood before it is kept.
    spoilt = bytearray(cut.read_bytes())
    spoilt[20] ^= 1
    cut.write_bytes(spoilt)
    damaged = report(shared, *arguments, code=1)
    assert "does not fit its checksum at byte 0" in damaged["differences"][0], damaged
