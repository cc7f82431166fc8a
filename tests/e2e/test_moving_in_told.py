"""What an import reads, leaves alone and says: artifacts that lie elsewhere, runs that are deleted, what was changed here, and
names that are not taken; stores are made by the real mlflow client."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Iterator

import mlflow
import pytest
from mlflow import MlflowClient

from support.server import Corliss
from test_moving_in import report
from test_moving_in_compared import execute, made, sqlite_store


@pytest.fixture(autouse=True)
def client_settings(shared: Corliss, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", shared.token)
    yield
    mlflow.set_tracking_uri(None)


@pytest.mark.parametrize("kind", ["path", "uri", "relative"])
def test_files_of_a_folders_runs_lie_where_it_says(shared: Corliss, tmp_path: Path, kind: str) -> None:
    store, place, name = tmp_path / "mlruns", tmp_path / "abs", f"lies elsewhere {kind}"
    location = {"path": str(place), "uri": place.as_uri(), "relative": "./abs"}[kind]
    client = MlflowClient(store.as_uri(), registry_uri=store.as_uri())
    run = client.create_run(client.create_experiment(name, artifact_location=location)).info.run_id
    client.log_text(run, "weights", "model/weights.txt")
    client.create_registered_model(name)
    client.create_model_version(name, f"{client.get_run(run).info.artifact_uri}/model", run)
    place.rename(tmp_path / "gone")
    for arguments in (["--dry-run"], []):
        moved = report(shared, "mlflow", str(store), *arguments, code=1)
        told = "\n".join(moved["differences"])
        assert "the artifacts of 1 run or model cannot be reached from here" in told, told
        assert f"version 1 of model '{name}'" in told and "an address that cannot be reached" in told, told
    tmp_path.joinpath("gone").rename(place)
    moved = report(shared, "mlflow", str(store))
    assert (moved["sent"]["artifacts"], moved["here"]["model_versions"], moved["differences"]) == (1, 1, []), moved
    assert Path(MlflowClient(shared.url).download_artifacts(run, "model/weights.txt")).read_text() == "weights"


def test_what_is_deleted_there_is_not_touched_by_verify(shared: Corliss, tmp_path: Path) -> None:
    store, _, source, ids = sqlite_store(tmp_path, "verified and deleted", runs=2)
    source.delete_run(ids[0])
    report(shared, "mlflow", store)
    for arguments in (["--verify"], ["--verify", "--dry-run"], []):
        moved = report(shared, "mlflow", store, *arguments)
        assert set(moved["sent"].values()) == {0} and moved["differences"] == [], moved
    assert MlflowClient(shared.url).get_run(ids[0]).info.lifecycle_stage == "deleted"


def test_not_everything_is_as_in_the_source(shared: Corliss, tmp_path: Path) -> None:
    store, _, _, ids = sqlite_store(tmp_path, "changed state")
    report(shared, "mlflow", store)
    here = MlflowClient(shared.url)
    here.set_terminated(ids[0], status="FAILED", end_time=9001)
    for arguments in (["--dry-run"], [], ["--verify"]):
        moved = report(shared, "mlflow", store, *arguments, code=1)
        assert moved["differences"] == [
            f"run {ids[0]} (run 0): the end time is 9000 in the source, 9001 here",
            f"run {ids[0]} (run 0): the status is FINISHED in the source, FAILED here",
        ], moved
    assert here.get_run(ids[0]).info.status == "FAILED"
    here.set_terminated(ids[0], status="FINISHED", end_time=9000)
    here.delete_experiment(here.get_experiment_by_name("changed state").experiment_id)
    told = shared.run_cli("experiments", "import", "mlflow", store)
    assert told.returncode == 0 and "everything else is as in the source" in told.stdout, told.stdout


def test_what_is_here_is_counted_though_it_was_refused(shared: Corliss, tmp_path: Path) -> None:
    store, file, _, ids = sqlite_store(tmp_path, "counted")
    report(shared, "mlflow", store)
    execute(file, f"UPDATE params SET value = '0.2' WHERE run_uuid = '{ids[1]}'")
    moved = report(shared, "mlflow", store, code=1)
    assert (moved["source"]["runs"], moved["here"]["runs"]) == (2, 2), moved
    execute(file, f"UPDATE params SET value = x'ff' WHERE run_uuid = '{ids[1]}'")
    moved = report(shared, "mlflow", store, code=1)
    assert moved["source"]["runs"] == 1, moved
    assert any("1 part of the source was left out" in notice for notice in moved["notices"]), moved


def test_a_name_that_is_not_taken_costs_nothing_else(shared: Corliss, tmp_path: Path) -> None:
    store, file, _, [run] = sqlite_store(tmp_path, "odd names", runs=1)
    execute(
        file,
        f"INSERT INTO tags (key, value, run_uuid) VALUES ('a' || char(7) || 'b', 'x', '{run}')",
        f"INSERT INTO params (key, value, run_uuid) VALUES ('a\\b', 'x', '{run}')",
        "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan)"
        f" VALUES ('m' || char(8238), 1, 1, '{run}', 0, 0)",
    )
    looked = report(shared, "mlflow", store, "--dry-run", code=1)
    for _ in range(2):
        moved = report(shared, "mlflow", store, code=1)
        assert moved["differences"] == looked["differences"], moved
    told = [text.removeprefix(f"left out: run {run} (run 0): the ") for text in moved["differences"]]
    assert [text.split(":")[0] for text in told] == ["metric 'm\\u{202e}'", "parameter 'a\\b'", "tag 'a\\u{7}b'"], told
    assert "may only contain" in told[0] and "\u202e" not in told[0], told
    data = MlflowClient(shared.url).get_run(run).data
    assert data.params == {"rate": "0.1"} and list(data.metrics) == ["loss"] and data.tags["kind"] == "first"


def test_an_artifact_that_is_not_taken_is_told_once(shared: Corliss, tmp_path: Path) -> None:
    folder = tmp_path / "mlruns"
    _, [run] = made(folder.as_uri(), tmp_path, "once", runs=1)
    (next(folder.rglob("weights.txt")).parent / "a\\b.txt").write_text("x" * 10)
    for _ in range(2):
        [told] = report(shared, "mlflow", str(folder), code=1)["differences"]
        assert f"run {run} (run 0): the artifact 'a\\b.txt' is not taken: " in told, told


def test_a_model_that_was_moved_on_here_is_not_as_in_the_source(shared: Corliss, tmp_path: Path) -> None:
    name = "moved on"
    store, _, source, ids = sqlite_store(tmp_path, name)
    source.create_registered_model(name)
    for run in ids:
        source.create_model_version(name, source.get_run(run).info.artifact_uri, run)
    source.set_registered_model_alias(name, "live", "1")
    assert report(shared, "mlflow", store)["differences"] == []
    # Another alias and a stage are set there, and here the alias is moved on.
    source.set_registered_model_alias(name, "next", "2")
    source.transition_model_version_stage(name, "2", "Staging")
    shared.cli("models", "alias", name, "live", "2")
    shared.cli("models", "protect", name, "--approvals", "1")
    stays = [
        f"the alias 'live' of model '{name}' points at version 1 in the source, at version 2 here",
        f"the stage of version 2 of model '{name}' is Staging in the source, None here",
    ]
    refused = f"the alias 'next' of model '{name}' points at version 2 in the source, at nothing here"
    assert sorted(report(shared, "mlflow", store, code=1)["differences"]) == sorted([*stays, refused])
    shared.cli("models", "unprotect", name)
    for arguments in (["--dry-run"], []):
        assert sorted(report(shared, "mlflow", store, *arguments, code=1)["differences"]) == sorted(stays)


def test_who_may_not_move_models_in_moves_runs_in(shared: Corliss, tmp_path: Path) -> None:
    name = "runs of a scientist"
    store, _, source, ids = sqlite_store(tmp_path, name)
    source.create_registered_model(name)
    source.create_model_version(name, source.get_run(ids[0]).info.artifact_uri, ids[0])
    made = json.loads(shared.cli("admin", "token", "create", "mover", "--role", "data-scientist", "--json"))
    done = subprocess.run(
        [shared.binary, "experiments", "import", "mlflow", store, "--json"], check=False, capture_output=True, text=True,
        env=shared.environment | {"CORLISS_URL": shared.url, "CORLISS_TOKEN": made["token"]}, timeout=120,
    )
    assert done.returncode == 1, done.stderr
    moved = json.loads(done.stdout)
    assert [moved["here"][what] for what in ("runs", "artifacts", "registered_models")] == [2, 2, 0], moved
    (told,) = moved["differences"]
    assert told.startswith(f"model '{name}': ") and "models.promote" in told, told
