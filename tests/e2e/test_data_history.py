"""Datasets with histories through the command line: working copies, branches, merges, and what is collected."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from support.server import Corliss


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def read(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def asked(corliss: Corliss, *arguments: str) -> Any:
    return json.loads(corliss.cli("--json", *arguments))


def refused(corliss: Corliss, *arguments: str) -> str:
    done = corliss.run_cli(*arguments)
    assert done.returncode != 0, done
    return done.stderr


@pytest.fixture
def images(corliss: Corliss, tmp_path: Path) -> Path:
    """A working copy of a dataset of its own."""
    folder = tmp_path / f"images-{os.urandom(4).hex()}"
    write(folder, {"cats/1.txt": "cat", "cats/2.txt": "cat", "dogs/1.txt": "dog", "list.csv": "id,kind\n1,cat\n2,cat\n"})
    corliss.cli("data", "add", str(folder), "-m", "the first")
    return folder


def test_a_working_copy_knows_what_was_changed(corliss: Corliss, images: Path) -> None:
    status = lambda: asked(corliss, "data", "status", str(images / "cats"))  # noqa: E731
    assert status()["changes"] == [] and status()["branch"] == "main"
    write(images, {"cats/1.txt": "CAT", "new.txt": "new"})
    (images / "dogs/1.txt").unlink()
    (images / "cats/2.txt").chmod(0o755)
    changed = [(change["path"], change["change"]) for change in status()["changes"]]
    assert changed == [("cats/1.txt", "changed"), ("cats/2.txt", "mode"), ("dogs/1.txt", "removed"), ("new.txt", "added")]
    dry = asked(corliss, "data", "add", str(images), "--dry-run")
    assert len(dry["changes"]) == 4
    assert len(asked(corliss, "data", "log", images.name)["items"]) == 1, "a dry run commits nothing"
    corliss.cli("data", "add", str(images), "-m", "the second")
    assert status()["changes"] == []
    log = asked(corliss, "data", "log", images.name)["items"]
    assert [commit["message"] for commit in log] == ["the second", "the first"]
    assert log[0]["author"] == "local-admin"
    diff = asked(corliss, "data", "diff", f"{images.name}~1", images.name)
    assert diff["summary"] == {"added": 1, "removed": 1, "changed": 2, "bytes_new": 9, "bytes_old": 9}


def test_branches_are_worked_on_apart_and_merged(corliss: Corliss, images: Path, tmp_path: Path) -> None:
    name = images.name
    corliss.cli("data", "branch", name, "relabel")
    other = tmp_path / "relabel"
    corliss.cli("data", "checkout", f"{name}@relabel", str(other))
    assert read(other) == read(images)
    write(other, {"cats/2.txt": "dog", "both.txt": "theirs"})
    corliss.cli("data", "add", str(other), "-m", "relabelled")
    write(images, {"dogs/2.txt": "dog", "both.txt": "ours"})
    corliss.cli("data", "add", str(images), "-m", "one more")
    assert "both.txt" in refused(corliss, "data", "merge", name, "relabel")
    merged = asked(corliss, "data", "merge", name, "relabel", "--on-conflict", "theirs")
    assert merged["settled"] == 1 and not merged["fast_forward"]

    # The working copy is behind now; switching it loses nothing that was changed in it.
    assert asked(corliss, "data", "status", str(images))["branch_moved"]
    write(images, {"mine.txt": "not committed"})
    assert "changes of its own" in refused(corliss, "data", "checkout", name, str(images))
    assert "has moved" in refused(corliss, "data", "add", str(images))
    (images / "mine.txt").unlink()
    corliss.cli("data", "checkout", name, str(images))
    assert read(images) == {
        "both.txt": "theirs", "cats/1.txt": "cat", "cats/2.txt": "dog", "dogs/1.txt": "dog", "dogs/2.txt": "dog",
        "list.csv": "id,kind\n1,cat\n2,cat\n",
    }
    corliss.cli("data", "checkout", f"{name}~1", str(images), "--discard")
    assert read(images)["both.txt"] == "ours"
    assert asked(corliss, "data", "status", str(images))["branch"] is None


def test_a_part_is_checked_out_and_committed_alone(corliss: Corliss, images: Path, tmp_path: Path) -> None:
    name, part = images.name, tmp_path / "part"
    assert "has no 'birds'" in refused(corliss, "data", "checkout", name, str(tmp_path / "x"), "--only", "birds")
    corliss.cli("data", "checkout", name, str(part), "--only", "cats")
    assert set(read(part)) == {"cats/1.txt", "cats/2.txt"}
    assert asked(corliss, "data", "status", str(part))["changes"] == []
    write(part, {"cats/3.txt": "cat"})
    (part / "cats/1.txt").unlink()
    corliss.cli("data", "add", str(part))
    whole = tmp_path / "whole"
    corliss.cli("data", "get", name, str(whole))
    assert set(read(whole)) == {"cats/2.txt", "cats/3.txt", "dogs/1.txt", "list.csv"}


def test_unchanged_files_are_not_read_again(corliss: Corliss, images: Path) -> None:
    time.sleep(1.1)
    corliss.cli("data", "status", str(images))
    # Nobody may open it; who does not read it does not notice.
    blocked = images / "cats" / "1.txt"
    before = blocked.stat()
    traced = subprocess.run(
        ["strace", "-f", "-e", "trace=openat", "-o", "/dev/stdout", str(corliss.binary), "data", "status", str(images)],
        env=corliss.environment, capture_output=True, text=True, timeout=60, check=False,
    ) if _have_strace() else None
    if traced is not None:
        assert "cats/1.txt" not in traced.stdout
    # Of the same length, with its time set back: the time of the change of the inode tells.
    blocked.write_text("CAT")
    os.utime(blocked, ns=(before.st_atime_ns, before.st_mtime_ns))
    changes = asked(corliss, "data", "status", str(images))["changes"]
    assert [change["path"] for change in changes] == ["cats/1.txt"]


def _have_strace() -> bool:
    return any((Path(folder) / "strace").exists() for folder in os.get_exec_path())


def test_what_nothing_refers_to_is_collected_and_the_rest_stays(corliss: Corliss, images: Path, tmp_path: Path) -> None:
    name = images.name
    noise = os.urandom(600_000)
    (images / "large.bin").write_bytes(noise)
    corliss.cli("data", "add", str(images))
    corliss.cli("data", "tag", name, "kept")
    (images / "large.bin").write_bytes(os.urandom(600_000))
    corliss.cli("data", "add", str(images))
    collect = lambda *more: asked(corliss, "data", "gc", "--grace-hours", "0", *more)  # noqa: E731
    collect("--yes")
    stored = asked(corliss, "data", "du")["stored_bytes"]
    corliss.cli("data", "branch", name, "main", "--move-to", "kept")
    dry = collect("--dry-run")
    assert dry["commits_removed"] == 1 and dry["bytes_removed"] > 590_000
    assert asked(corliss, "data", "du")["stored_bytes"] == stored
    done = collect("--yes")
    assert done["commits_removed"] == 1
    assert asked(corliss, "data", "du")["stored_bytes"] < stored - 590_000
    corliss.kill_server()
    corliss.up()
    corliss.cli("data", "get", f"{name}@kept", str(tmp_path / "kept"))
    assert (tmp_path / "kept" / "large.bin").read_bytes() == noise
    assert asked(corliss, "data", "check")["findings_total"] == 0


def test_damage_is_named_by_dataset_and_path_and_healed_by_the_file(corliss: Corliss, images: Path) -> None:
    content = os.urandom(300_000)
    (images / "rare.bin").write_bytes(content)
    corliss.cli("data", "add", str(images))
    packs = sorted((corliss.home / "blobs" / "packs").glob("*/*"), key=lambda path: path.stat().st_mtime)
    for pack in packs:
        data = bytearray(pack.read_bytes())
        if len(data) > 290_000:
            data[150_000] ^= 1
            pack.chmod(0o600)
            pack.write_bytes(data)
    done = corliss.run_cli("--json", "data", "check")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    damaged = [(name, path["path"]) for one in found["versions"] for name in one["names"] for path in one["paths"]]
    assert (f"{images.name}@main", "rare.bin") in damaged
    # Whoever still has the file heals it: what is damaged counts as missing.
    corliss.cli("data", "add", str(images), "--name", f"{images.name}-again")
    corliss.cli("data", "get", images.name, str(images.parent / "healed"))
    assert (images.parent / "healed" / "rare.bin").read_bytes() == content


def test_a_switch_overwrites_nothing_that_no_version_has_and_writes_through_no_link(
    corliss: Corliss, images: Path, tmp_path: Path
) -> None:
    name, victim, other = images.name, tmp_path / "victim", tmp_path / "other"
    corliss.cli("data", "add", str(images))
    corliss.cli("data", "branch", name, "other")
    corliss.cli("data", "checkout", f"{name}@other", str(other))
    write(other, {"cache/conf": "theirs", "notes.log": "theirs", "new": "theirs"})
    corliss.cli("data", "add", str(other))
    before = read(images)
    write(victim, {"conf": "precious"})
    switch = ("data", "checkout", f"{name}@other", str(images))

    write(images, {".corlissignore": "cache\n*.log\n"})
    (images / "cache").symlink_to(victim)
    assert "is a link" in refused(corliss, *switch)
    assert "is a link" in refused(corliss, *switch, "--discard")
    (images / "cache").unlink()
    write(images, {"notes.log": "mine"})
    assert "is part of no version" in refused(corliss, *switch)
    (images / ".corlissignore").unlink()
    (images / "notes.log").unlink()
    write(images, {"new/file": "mine", ".corlissignore": "new\n"})
    assert "is a folder" in refused(corliss, *switch, "--discard")
    (images / "new" / "file").unlink()
    (images / ".corlissignore").unlink()
    # Of a checkout that was killed.
    write(images, {".corliss-checkout/left": "over"})
    assert asked(corliss, "data", "status", str(images))["changes"] == []
    assert {**read(images)} == {**before, ".corliss-checkout/left": "over"}, "nothing was touched"
    # An empty folder is no part of a version.
    corliss.cli(*switch)
    assert read(images) == {**before, "cache/conf": "theirs", "notes.log": "theirs", "new": "theirs"}
    assert read(victim) == {"conf": "precious"}


def test_rows_and_columns_that_differ_are_told(corliss: Corliss, images: Path) -> None:
    write(images, {"list.csv": "id,kind,age\n1,cat,3\n2,dog,4\n4,owl,5\n"})
    corliss.cli("data", "add", str(images))
    name = images.name
    said = corliss.cli("data", "diff", f"{name}~1", name, "--rows", "list.csv", "--key", "id")
    assert "column added: age (integer)" in said and "rows: 1 added, 0 removed, 1 changed, 1 the same" in said, said
    assert "+ 4  owl" in said and "~ 2  kind: cat to dog" in said, said
    assert "the tables are the same" in corliss.cli("data", "diff", name, name, "--rows", "list.csv")
    assert "has no file 'absent.csv'" in refused(corliss, "data", "diff", f"{name}~1", name, "--rows", "absent.csv")


def test_a_folder_of_another_origin_does_not_empty_a_branch_by_chance(corliss: Corliss, images: Path, tmp_path: Path) -> None:
    corliss.cli("data", "add", str(images), "--name", "origin")
    before = asked(corliss, "data", "log", "origin")
    other = tmp_path / "other"
    write(other, {"new": "new\n"})
    said = refused(corliss, "data", "add", str(other), "--name", "origin")
    assert "that this folder does not have" in said and "--replace" in said, said
    assert asked(corliss, "data", "log", "origin") == before
    # One that only has more goes on from it.
    write(other, read(images))
    corliss.cli("data", "add", str(other), "--name", "origin")
    (other / "new").unlink()
    write(images, {"mine": "mine\n"})
    corliss.cli("data", "add", str(images), "--name", "origin", "--replace")


def test_a_checkout_through_kill_9_is_whole_or_not_there(corliss: Corliss, tmp_path: Path) -> None:
    """Cut off anywhere: a new folder does not exist or is whole; one that is switched is never taken for a version that
    it is not; and the same command goes on."""
    chance = random.Random(7)
    made = tmp_path / "made"
    first = {f"{number % 7}/{number}": f"first {number}\n" * 300 for number in range(1500)} | {"turn/1": "a folder\n"}
    second = {f"{number % 7}/{number}": f"second {number}\n" * 300 for number in range(700, 2200)} | {"turn": "a file\n"}
    write(made, first)
    corliss.cli("data", "add", str(made), "--name", "cut", "-m", "first")
    corliss.cli("data", "tag", "cut", "first")
    shutil.rmtree(made)
    write(made, second)
    corliss.cli("data", "add", str(made), "-m", "second")

    def killed(*arguments: str) -> bool:
        doing = subprocess.Popen(
            [corliss.binary, "data", *arguments], env=corliss.environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        try:
            doing.wait(timeout=chance.uniform(0.01, 0.5))
        except subprocess.TimeoutExpired:
            doing.kill()
        return doing.wait() != 0

    cut = 0
    for attempt in range(6):
        got, copy = tmp_path / f"got-{attempt}", tmp_path / f"copy-{attempt}"
        if killed("get", "cut@first", str(got)):
            cut += 1
            assert not got.exists()
            corliss.cli("data", "get", "cut@first", str(got))
        assert read(got) == first
        copy.mkdir()
        corliss.cli("data", "checkout", "cut@first", str(copy))
        for _ in range(3):
            if not killed("checkout", "cut", str(copy)):
                break
            cut += 1
            there = {name: text for name, text in read(copy).items() if not name.startswith(".corliss-checkout/")}
            if there not in (first, second):
                assert "broken off" in refused(corliss, "data", "add", str(copy))
        else:
            corliss.cli("data", "checkout", "cut", str(copy))
        assert read(copy) == second
        assert asked(corliss, "data", "status", str(copy))["changes"] == []
        assert not [path for path in tmp_path.iterdir() if path.name.endswith(".corliss-part")]
    assert cut > 2, "nothing was cut off"


def test_a_checkout_that_was_broken_off_is_taken_back_or_gone_on_with(corliss: Corliss, images: Path) -> None:
    name = images.name
    write(images, {"cats/1.txt": "lynx", "new/1.txt": "owl"})
    (images / "dogs/1.txt").unlink()
    corliss.cli("data", "add", str(images))
    whole = read(images)
    # As if it was killed when it had removed one file and placed another.
    staging = images / ".corliss-checkout"
    staging.mkdir()
    version = asked(corliss, "data", "log", f"{name}~1")["items"][0]["version"]
    (staging / ".corliss-placing").write_text(json.dumps({"target": f"{name}~1", "version": version}))
    (images / "new/1.txt").unlink()
    (images / "cats/1.txt").write_text("cat")
    for command in ("status", "add"):
        said = refused(corliss, "data", command, str(images))
        assert f"data checkout {name}~1" in said, said
    (images / "list.csv").write_text("edited")
    said = refused(corliss, "data", "checkout", name, str(images))
    assert "1 file changed" in said and "--discard" in said, said
    corliss.cli("data", "checkout", name, str(images), "--discard")
    assert read(images) == whole
    assert asked(corliss, "data", "status", str(images))["changes"] == []
