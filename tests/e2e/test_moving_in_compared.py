"""What an import says is true: stores that were changed, damaged, locked or written to while they are moved in, made by the
real mlflow client."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import struct
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Iterator

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, Metric, Param

from support.server import Corliss
from test_moving_in import report, scalar


@pytest.fixture(autouse=True)
def client_settings(shared: Corliss, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    # A client without an address makes a database where it stands.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", shared.token)
    yield
    mlflow.set_tracking_uri(None)


def made(uri: str, folder: Path, name: str, runs: int = 2, points: int = 10) -> tuple[MlflowClient, list[str]]:
    """A store with an experiment of this name, and the ids of its runs."""
    client = MlflowClient(uri, registry_uri=uri)
    location = None if uri.startswith("file:") else folder.joinpath(name).as_uri()
    experiment = client.create_experiment(name, artifact_location=location)
    ids = []
    for number in range(runs):
        run = client.create_run(experiment, run_name=f"run {number}", start_time=1000 + number)
        client.log_batch(
            run.info.run_id,
            metrics=[Metric("loss", step / 7, 2000 + step, step) for step in range(points)],
            params=[Param("rate", "0.1")],
        )
        client.set_tag(run.info.run_id, "kind", "first")
        dataset = Dataset("set", "abc", "local", "{}", schema="{}")
        client.log_inputs(run.info.run_id, datasets=[DatasetInput(dataset, [])])
        client.log_text(run.info.run_id, "weights", "weights.txt")
        client.set_terminated(run.info.run_id, end_time=9000)
        ids.append(run.info.run_id)
    return client, ids


def sqlite_store(folder: Path, name: str, **more: int) -> tuple[str, Path, MlflowClient, list[str]]:
    file = folder / "mlflow.db"
    store = f"sqlite:///{file}"
    return store, file, *made(store, folder, name, **more)


def execute(file: Path, *statements: str) -> None:
    with sqlite3.connect(file) as database:
        for statement in statements:
            database.execute(statement)
    database.close()


def test_runs_that_are_elsewhere_are_told(shared: Corliss, tmp_path: Path) -> None:
    store, file, _, ids = sqlite_store(tmp_path, "at home", runs=7)
    report(shared, "mlflow", store)
    refused = shared.run_cli("experiments", "import", "mlflow", store, "--experiment", "at home", "--into", "abroad")
    assert refused.returncode == 2 and "was moved into 'at home' before" in refused.stderr, refused.stderr
    # A copy of the store is another source.
    copy = tmp_path / "copy.db"
    shutil.copy(file, copy)
    store = f"sqlite:///{copy}"
    for arguments in (["--dry-run"], []):
        moved = report(shared, "mlflow", store, "--experiment", "at home", "--into", "abroad", *arguments, code=1)
        assert (moved["source"]["runs"], moved["here"]["runs"], moved["sent"]["runs"]) == (7, 0, 0), moved
        [told] = moved["differences"]
        assert "7 runs are here already, in the experiment 'at home'" in told, told
        assert ", ".join(ids[:5]) + " and 2 more" in told, told
    here = MlflowClient(shared.url)
    assert here.search_runs([here.get_experiment_by_name("abroad").experiment_id]) == []


def test_a_run_that_was_made_here_is_told(shared: Corliss, tmp_path: Path) -> None:
    here = MlflowClient(shared.url)
    mine = here.create_run(here.create_experiment("made here")).info.run_id
    store, file, _, [theirs] = sqlite_store(tmp_path, "made here", runs=1)
    tables = ("runs", "params", "tags", "metrics", "latest_metrics")
    execute(file, *(f"UPDATE {table} SET run_uuid = '{mine}' WHERE run_uuid = '{theirs}'" for table in tables))
    for arguments in (["--dry-run"], []):
        moved = report(shared, "mlflow", store, "--merge", *arguments, code=1)
        assert "was not moved in" in moved["differences"][0] and mine in moved["differences"][0], moved
    assert here.get_run(mine).data.params == {}


def test_what_was_changed_is_told_though_counts_agree(shared: Corliss, tmp_path: Path) -> None:
    store, file, _, ids = sqlite_store(tmp_path, "changed")
    assert report(shared, "mlflow", store)["differences"] == []
    execute(file, f"UPDATE metrics SET value = 99 WHERE run_uuid = '{ids[0]}' AND step = 3")
    for arguments in (["--dry-run"], [], [], ["--dry-run"]):
        moved = report(shared, "mlflow", store, *arguments, code=1)
        assert moved["differences"] == [f"run {ids[0]} (run 0): 10 points of 'loss' on both sides, but not the same"]
    execute(
        file,
        f"UPDATE params SET value = '0.2' WHERE run_uuid = '{ids[1]}'",
        "UPDATE datasets SET dataset_schema = '[]'",
    )
    looked = report(shared, "mlflow", store, "--dry-run", code=1)
    assert f"run {ids[1]} (run 1): the parameter 'rate' has another value here" in looked["differences"]
    moved = report(shared, "mlflow", store, code=1)
    assert any("the dataset 'set' is not here as in the source" in told for told in moved["differences"]), moved
    refused = [told for told in moved["differences"] if told.startswith(f"run {ids[1]}")]
    assert "Changing param values is not allowed" in refused[0], refused
    # Changed here: it stays, and is told.
    here = MlflowClient(shared.url)
    here.set_tag(ids[0], "kind", "mine")
    moved = report(shared, "mlflow", store, code=1)
    assert f"run {ids[0]} (run 0): the tag 'kind' has another value here" in moved["differences"]
    assert here.get_run(ids[0]).data.tags["kind"] == "mine"


def test_artifacts_are_compared_by_what_is_in_them_on_demand(shared: Corliss, tmp_path: Path) -> None:
    store, _, _, ids = sqlite_store(tmp_path, "verified")
    report(shared, "mlflow", store)
    assert report(shared, "mlflow", store, "--verify")["sent"]["artifacts"] == 0
    file = next((tmp_path / "verified" / ids[0]).rglob("weights.txt"))
    file.write_text("WEIGHTS")
    assert report(shared, "mlflow", store)["sent"]["artifacts"] == 0
    told = shared.run_cli("experiments", "import", "mlflow", store)
    assert "files were compared by their sizes, --verify reads them" in told.stdout, told.stdout
    looked = report(shared, "mlflow", store, "--verify", "--dry-run", code=1)
    assert looked["differences"] == [f"run {ids[0]} (run 0): the artifact 'weights.txt' has another content here"]
    moved = report(shared, "mlflow", store, "--verify")
    assert (moved["sent"]["artifacts"], moved["sent"]["artifact_bytes"], moved["differences"]) == (1, 7, []), moved
    assert Path(MlflowClient(shared.url).download_artifacts(ids[0], "weights.txt")).read_text() == "WEIGHTS"


def test_a_deleted_run_gets_its_files_and_stays_deleted(shared: Corliss, tmp_path: Path) -> None:
    store, _, source, ids = sqlite_store(tmp_path, "deleted there", runs=1)
    source.delete_run(ids[0])
    assert report(shared, "mlflow", store, "--no-artifacts")["here"]["artifacts"] == 0
    for arguments, sent in (([], 1), (["--verify"], 0)):
        moved = report(shared, "mlflow", store, *arguments)
        assert (moved["sent"]["artifacts"], moved["here"]["artifacts"], moved["differences"]) == (sent, 1, []), moved
    next((tmp_path / "deleted there" / ids[0]).rglob("weights.txt")).write_text("WEIGHTS")
    assert report(shared, "mlflow", store, "--verify")["sent"]["artifacts"] == 1
    assert MlflowClient(shared.url).get_run(ids[0]).info.lifecycle_stage == "deleted"


def test_half_a_point_comes_when_it_is_whole(shared: Corliss, tmp_path: Path) -> None:
    folder = tmp_path / "mlruns"
    source, ids = made(folder.as_uri(), tmp_path, "live")
    file = next(folder.rglob(f"{ids[0]}/metrics/loss"))
    with file.open("a") as writer:
        writer.write("3000 0.12")
    first = report(shared, "mlflow", str(folder))
    assert first["here"]["metric_points"] == 20 and first["differences"] == [], first
    assert "1 point is not finished yet" in first["notices"][0] and str(file) in first["notices"][0], first
    with file.open("a") as writer:
        writer.write("5 10\n")
    second = report(shared, "mlflow", str(folder))
    assert (second["here"]["metric_points"], second["notices"], second["differences"]) == (21, [], []), second
    here = MlflowClient(shared.url).get_metric_history(ids[0], "loss")
    assert [(p.timestamp, p.value, p.step) for p in here if p.timestamp == 3000] == [(3000, 0.125, 10)]


def test_one_damaged_part_costs_nothing_else(shared: Corliss, tmp_path: Path) -> None:
    folder = tmp_path / "mlruns"
    source, ids = made(folder.as_uri(), tmp_path, "damaged files", runs=4)
    place = next(folder.rglob(ids[0]))
    (place / "metrics/loss").write_text("1 x 1\n")
    next(folder.rglob(ids[1])).joinpath("meta.yaml").unlink()
    next(folder.rglob(ids[2])).joinpath("meta.yaml").write_text("name: 'open\n")
    (folder / "77").mkdir()
    moved = report(shared, "mlflow", str(folder), code=1)
    assert (moved["here"]["runs"], moved["sent"]["runs"]) == (1, 1), moved
    told = "\n".join(moved["differences"])
    for part in (
        f"left out: run {ids[0]} (run 0): ", "line 1 has 'x' as its value", f"{ids[1]}: it has no meta.yaml",
        f"left out: run {ids[2]}: ", "is not valid YAML", "77: it has no meta.yaml, without which it is no experiment",
    ):
        assert part in told, (part, told)
    assert len(moved["differences"]) == 4

    store, file, _, ids = sqlite_store(tmp_path, "damaged rows", runs=3)
    execute(
        file,
        f"UPDATE metrics SET timestamp = 'soon' WHERE run_uuid = '{ids[0]}' AND step = 1",
        f"UPDATE params SET value = x'ff' WHERE run_uuid = '{ids[1]}'",
    )
    for arguments in (["--dry-run"], []):
        moved = report(shared, "mlflow", store, *arguments, code=1)
        assert sorted(moved["differences"]) == sorted([
            f"left out: run {ids[0]} (run 0): in table metrics, column timestamp holds something else than a whole number",
            f"left out: run {ids[1]}: in table params, column value holds bytes that are no text in UTF-8",
        ]), moved
    assert moved["here"]["runs"] == 1, moved


def test_a_name_is_spoken_for_by_the_first(shared: Corliss, tmp_path: Path) -> None:
    # An experiment without runs holds nothing, so that only the claim tells that it is somebody's.
    store, _, client, _ = sqlite_store(tmp_path, "spoken for", runs=0)
    report(shared, "mlflow", store)
    other = tmp_path / "other"
    other.mkdir()
    second, _, _, _ = sqlite_store(other, "spoken for")
    refused = shared.run_cli("experiments", "import", "mlflow", second)
    assert refused.returncode == 1 and "--merge" in refused.stderr and "--into" in refused.stderr, refused.stderr
    here = MlflowClient(shared.url)
    assert here.search_runs([here.get_experiment_by_name("spoken for").experiment_id]) == []


def test_the_same_store_twice_at_once(shared: Corliss, tmp_path: Path) -> None:
    store, _, _, ids = sqlite_store(tmp_path, "twice", runs=40, points=500)
    command = [str(shared.binary), "experiments", "import", "mlflow", store, "--json"]
    working = [
        subprocess.Popen(command, env=shared.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for one in working:
        said, complaint = one.communicate(timeout=240)
        assert one.returncode == 0, said + complaint
        assert json.loads(said)["differences"] == [], said
    whole = report(shared, "mlflow", store)
    assert whole["source"] == whole["here"] and set(whole["sent"].values()) == {0}, whole


def test_without_artifacts_the_reason_is_the_true_one(shared: Corliss, tmp_path: Path) -> None:
    store, _, client, ids = sqlite_store(tmp_path, "no files")
    uri = client.get_run(ids[0]).info.artifact_uri
    client.create_registered_model("no files")
    client.create_model_version("no files", uri, ids[0])
    looked = report(shared, "mlflow", store, "--no-artifacts", "--dry-run", code=1)
    moved = report(shared, "mlflow", store, "--no-artifacts", code=1)
    assert looked["differences"] == moved["differences"]
    [told] = moved["differences"]
    assert told.startswith("version 1 of model 'no files'") and "left out by --no-artifacts" in told, told
    assert (moved["here"]["registered_models"], moved["here"]["model_versions"]) == (0, 0), moved
    whole = report(shared, "mlflow", store)
    assert (whole["here"]["model_versions"], whole["differences"]) == (1, []), whole
    # What is here already needs no files again.
    assert report(shared, "mlflow", store, "--no-artifacts")["differences"] == []


def test_names_and_links_that_cannot_come(shared: Corliss, tmp_path: Path) -> None:
    store, file, _, ids = sqlite_store(tmp_path, "odd files", runs=1)
    folder = next((tmp_path / "odd files" / ids[0]).rglob("weights.txt")).parent
    (folder / "a\\b.txt").write_text("x" * 10)
    (folder / "link").symlink_to(folder / "weights.txt")
    os.mkfifo(folder / "pipe")
    moved = report(shared, "mlflow", store, code=1)
    assert (moved["sent"]["artifacts"], moved["sent"]["artifact_bytes"]) == (1, 7), moved
    told = "\n".join(moved["differences"])
    assert "the artifact 'a\\b.txt' is not taken: " in told and "status 400" not in told, told
    assert "link: it is a link" in told and "pipe: it is a pipe, a socket or a device" in told, told


def test_a_large_or_odd_text_does_not_fill_the_terminal(shared: Corliss, tmp_path: Path) -> None:
    store, file, _, ids = sqlite_store(tmp_path, "large", runs=1)
    report(shared, "mlflow", store)
    execute(file, f"UPDATE params SET value = '{'x' * 2_097_152}' WHERE run_uuid = '{ids[0]}'")
    told = shared.run_cli("experiments", "import", "mlflow", store)
    assert told.returncode == 1 and len(told.stdout) < 4000, len(told.stdout)
    assert "characters)" in told.stdout and "… (2,097," in told.stdout, told.stdout
    execute(file, f"INSERT INTO tags (key, value, run_uuid) VALUES ('a' || char(10) || 'b', 'x', '{ids[0]}')")
    told = shared.run_cli("experiments", "import", "mlflow", store)
    assert "a\nb" not in told.stdout, told.stdout


def test_sources_that_cannot_be_read_are_told_by_name(shared: Corliss, tmp_path: Path) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"this is no database " * 300)
    done = shared.run_cli("experiments", "import", "mlflow", f"sqlite:///{broken}")
    assert done.returncode == 2 and str(broken) in done.stderr, done.stderr
    done = shared.run_cli("experiments", "import", "mlflow", "postgresql://ada@127.0.0.1:1/x")
    assert done.returncode == 1 and "refused" in done.stderr.lower(), done.stderr
    store, file, _, _ = sqlite_store(tmp_path, "of a workspace", runs=0)
    folder = tmp_path / "mlruns"
    made(folder.as_uri(), tmp_path, "of a folder", runs=0)
    for location in (store, folder):
        done = shared.run_cli("experiments", "import", "mlflow", location, "--workspace", "team")
        assert done.returncode == 5 and "no workspace 'team'" in done.stderr, done.stderr
    done = subprocess.run(
        [str(shared.binary), "runs", "list"], env=shared.environment | {"CORLISS_URL": shared.url, "CORLISS_TOKEN": "a\nb"},
        capture_output=True, text=True, check=False,
    )
    assert done.returncode == 2 and "CORLISS_TOKEN is no token" in done.stderr, done.stderr


def test_a_locked_file_is_waited_for(shared: Corliss, tmp_path: Path) -> None:
    store, file, _, _ = sqlite_store(tmp_path, "locked", runs=1)
    writer = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN EXCLUSIVE")
    freed = threading.Timer(4, writer.execute, ["ROLLBACK"])
    freed.start()
    done = shared.run_cli("experiments", "import", "mlflow", store)
    freed.join()
    writer.close()
    assert done.returncode == 0, done.stderr
    assert f"{file} is locked by another process; waiting" in done.stderr, done.stderr


def test_a_store_that_is_written_to_meanwhile(shared: Corliss, tmp_path: Path) -> None:
    for mode in ("wal", "delete"):
        place = tmp_path / mode
        place.mkdir()
        store, file, client, ids = sqlite_store(place, f"written {mode}", runs=20, points=200)
        execute(file, f"PRAGMA journal_mode = {mode}")
        done = threading.Event()

        def write() -> None:
            step = 0
            while not done.is_set():
                client.log_metric(ids[step % 20], "loss", step / 3, timestamp=50_000 + step, step=1000 + step)
                step += 1

        writer = threading.Thread(target=write)
        writer.start()
        try:
            time.sleep(0.3)
            moved = report(shared, "mlflow", store)
            assert moved["differences"] == [], moved
            assert moved["source"]["metric_points"] == moved["here"]["metric_points"], moved
        finally:
            done.set()
            writer.join()
        assert report(shared, "mlflow", store)["differences"] == []


def test_what_was_deleted_here_stays_so_and_what_was_purged_comes_again(shared: Corliss, tmp_path: Path) -> None:
    store, _, source, ids = sqlite_store(tmp_path, "deleted here")
    report(shared, "mlflow", store)
    here = MlflowClient(shared.url)
    here.delete_run(ids[0])
    source.log_metric(ids[0], "loss", 1, timestamp=9999, step=99)
    for _ in range(2):
        moved = report(shared, "mlflow", store)
        assert moved["sent"]["runs"] == 0 and moved["differences"] == [], moved
        assert moved["notices"] == [f"1 run was deleted here since, and stayed so: {ids[0]}"]
        assert here.get_run(ids[0]).info.lifecycle_stage == "deleted"
    here.restore_run(ids[0])
    assert report(shared, "mlflow", store)["sent"]["metric_points"] > 0
    experiment = here.get_experiment_by_name("deleted here").experiment_id
    here.delete_experiment(experiment)
    moved = report(shared, "mlflow", store)
    assert moved["sent"]["runs"] == 0 and "was deleted here, so nothing of it is moved in" in moved["notices"][0], moved
    assert here.get_experiment(experiment).lifecycle_stage == "deleted"
    shared.cli("experiments", "purge", "--older-than-days", "0", "--experiment", "deleted here", "--yes")
    moved = report(shared, "mlflow", store)
    assert (moved["sent"]["runs"], moved["source"]) == (2, moved["here"]), moved


def test_event_files_with_odd_tags_and_times(shared: Corliss, tmp_path: Path) -> None:
    folder = tmp_path / "logs" / "train"
    folder.mkdir(parents=True)
    events = [scalar("x" * 20, 0.5, 100.0, 1), scalar("good", 0.5, 1e300, 2), long_scalar("y" * 300, 0.25, 101.0)]
    (folder / "events.out.tfevents.1.host").write_bytes(b"".join(events))
    moved = report(shared, "tensorboard", tmp_path / "logs", "--experiment", "odd events", code=1)
    assert moved["here"]["metric_points"] == 2, moved
    assert moved["differences"] == ["left out: 1 event of the run 'train', whose time is none"], moved
    here = MlflowClient(shared.url)
    [run] = here.search_runs([here.get_experiment_by_name("odd events").experiment_id])
    long = [name for name in run.data.metrics if name.startswith("y" * 233)]
    assert len(long) == 1 and len(long[0]) == 250, run.data.metrics


def long_scalar(tag: str, value: float, wall_time: float) -> bytes:
    """An event with a scalar whose tag is longer than a byte can say."""
    from test_moving_in import crc32c

    def field(number: int, content: bytes) -> bytes:
        length, size = b"", len(content)
        while size >= 0x80:
            length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + content

    shown = field(1, tag.encode()) + b"\x15" + struct.pack("<f", value)
    event = b"\x09" + struct.pack("<d", wall_time) + b"\x10\x01" + field(5, field(1, shown))
    length = struct.pack("<Q", len(event))
    return length + struct.pack("<I", crc32c(length)) + event + struct.pack("<I", crc32c(event))
