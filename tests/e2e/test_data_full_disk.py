"""Disks that are full: where a version is laid out, at a remote, and under the home. Each is told, nothing is lost, and
the same command goes on once there is room."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Iterator

import pytest

from support import processes
from support.disk import enlarge, small_disk
from support.server import Corliss

NOISE = random.Random(11)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """3 MB: small files and one of many chunks."""
    made = tmp_path / "made"
    for name, size in {f"many/{number}": 20_000 for number in range(100)}.items() | {("large", 1_000_000)}:
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(NOISE.randbytes(size))
    return made


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    mounted = tmp_path / "disk"
    mounted.mkdir()
    with small_disk(mounted, "2m"):
        yield mounted


def told_full(corliss: Corliss, *arguments: str) -> None:
    done = corliss.run_cli(*arguments)
    assert done.returncode == 1 and "is full" in done.stderr and "hint" in done.stderr, done


@pytest.mark.parametrize("way", ["lent", "sent"])
@pytest.mark.parametrize("command", ["get", "checkout"])
def test_where_a_version_is_laid_out(corliss: Corliss, folder: Path, disk: Path, command: str, way: str) -> None:
    if way == "sent":
        (corliss.home / "run" / "folders").unlink(missing_ok=True)
    corliss.cli("data", "add", str(folder), "--name", "wide")
    target = disk / "out"
    told_full(corliss, "data", command, "wide", str(target))
    assert not target.exists()
    kept = contents(disk / ".out.corliss-part")
    assert kept
    enlarge(disk, "8m")
    corliss.cli("data", command, "wide", str(target))
    assert contents(target) == contents(folder)
    assert [path.name for path in disk.iterdir()] == ["out"]


def test_a_remote(tmp_path: Path, folder: Path, disk: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text(f'[remotes.small]\nurl = "file://{disk}/remote"\n')
    corliss = Corliss(home)
    try:
        corliss.up()
        corliss.cli("data", "add", str(folder), "--name", "wide")
        told_full(corliss, "data", "push", "wide", "small")
        corliss.cli("data", "check")
        enlarge(disk, "16m")
        corliss.cli("data", "push", "wide", "small")
        corliss.cli("data", "clone", "small", "wide", "--name", "back")
        corliss.cli("data", "get", "back", str(tmp_path / "out"))
        assert contents(tmp_path / "out") == contents(folder)
        corliss.down()
    finally:
        corliss.kill_everything()


def test_the_home(tmp_path: Path, folder: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with small_disk(home, "16m"):
        corliss = Corliss(home)
        try:
            corliss.up()
            corliss.cli("data", "add", str(folder), "--name", "first")
            filler = home / "filler"
            with filler.open("wb") as file:
                try:
                    while True:
                        file.write(bytes(1 << 16))
                        file.flush()
                except OSError:
                    pass
            (folder / "more").write_bytes(NOISE.randbytes(200_000))
            done = corliss.run_cli("data", "add", str(folder), "--name", "first")
            assert done.returncode == 1 and "full" in done.stderr, done
            # What was acknowledged is still read, and by a server that was killed on the full disk too.
            corliss.cli("data", "get", "first", str(tmp_path / "out"))
            corliss.kill_server()
            filler.unlink()
            corliss.up()
            corliss.cli("data", "add", str(folder), "--name", "first")
            corliss.cli("data", "get", "first", str(tmp_path / "later"))
            assert contents(tmp_path / "later") == contents(folder)
            corliss.cli("data", "check")
            corliss.down()
            assert not processes.wait_until_none(home)
        finally:
            corliss.kill_everything()


def test_what_later_runs_might_read_makes_room_for_what_one_reads_now(tmp_path: Path) -> None:
    home = tmp_path / "home"
    inputs = home / "work/inputs"
    inputs.mkdir(parents=True)
    with small_disk(inputs, "3m"):
        corliss = Corliss(home)
        try:
            corliss.up()
            for name, size in [("first", 1_200_000), ("second", 2_000_000), ("third", 4_000_000)]:
                project = tmp_path / name
                (project / "raw").mkdir(parents=True)
                (project / "raw/file").write_bytes(NOISE.randbytes(size))
                (project / "corliss.yaml").write_text(
                    f"project: {name}\ndata: {{{name}: raw}}\n"
                    f"steps: {{read: {{run: 'wc -c < $CORLISS_INPUT_{name.upper()}/file', inputs: [{name}]}}}}\n"
                )
                ended = corliss.wait_run(corliss.submit(project / "corliss.yaml"))
                if name == "third":
                    assert ended["state"] == "failed" and "is full" in str(ended), ended
                else:
                    assert ended["state"] == "succeeded", ended
                    kept = [path.stat().st_size for path in inputs.glob("v_*/file")]
                    assert kept == [size] or (name == "second" and kept == []), kept
            corliss.down()
        finally:
            corliss.kill_everything()
