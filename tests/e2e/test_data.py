"""Folders as versions, in and out through the command line: whole, with few open files, through kill -9 and damage."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

from support.server import Corliss, poll

NOISE = random.Random(5)


def contents(folder: Path) -> dict[str, tuple[bytes, bool]]:
    """Every file's bytes, and whether it may be executed."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.read_bytes(), os.access(path, os.X_OK)) for path in files}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Nothing, a little, much, a tool, the same twice, and more files of several chunks than may be open at once."""
    made = tmp_path / "made"
    large = NOISE.randbytes(900_000)
    files = {"empty": b"", "deep/er/one.txt": b"one\n", "tool.sh": b"#!/bin/sh\n", "large.bin": large, "again/large.bin": large}
    files |= {f"many/{number}.bin": NOISE.randbytes(300_000) for number in range(150)}
    for name, data in files.items():
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (made / "tool.sh").chmod(0o755)
    return made


@pytest.fixture(params=["lent", "sent"])
def way(request: pytest.FixtureRequest, corliss: Corliss) -> str:
    """How files reach the server: it reads them in the folder that it is lent, or they come over the socket, as from
    another machine."""
    if request.param == "sent":
        (corliss.home / "run" / "folders").unlink()
    return request.param


@pytest.mark.usefixtures("way")
def test_a_folder_comes_back_as_it_was_with_few_files_open(corliss: Corliss, folder: Path, tmp_path: Path) -> None:
    def with_few_open(*arguments: str) -> None:
        command = ["bash", "-c", 'ulimit -n 64; exec "$@"', "few", str(corliss.binary), *arguments]
        done = subprocess.run(command, env=corliss.environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done

    with_few_open("data", "add", str(folder), "--name", "mixed")
    with_few_open("data", "get", "mixed", str(tmp_path / "got"))
    assert contents(tmp_path / "got") == contents(folder)


@pytest.mark.usefixtures("way")
def test_an_upload_through_kill_9_is_made_whole_by_the_next(corliss: Corliss, folder: Path, tmp_path: Path) -> None:
    for kill_at in (1, 3):
        sending = subprocess.Popen(
            [corliss.binary, "data", "add", folder, "--name", "cut"], env=corliss.environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        packs = corliss.home / "blobs" / "packs"
        before = len(list(packs.glob("*/*")))
        poll("packs to be written", lambda: len(list(packs.glob("*/*"))) >= before + kill_at or sending.poll() is not None)
        corliss.kill_server()
        sending.wait(timeout=120)
        corliss.up()
        (folder / "empty").write_bytes(b"no longer")
    corliss.cli("data", "add", str(folder), "--name", "cut")
    corliss.cli("data", "get", "cut", str(tmp_path / "got"))
    assert contents(tmp_path / "got") == contents(folder)


@pytest.mark.usefixtures("way")
def test_damage_is_told_and_leaves_no_folder(corliss: Corliss, folder: Path, tmp_path: Path) -> None:
    corliss.cli("data", "add", str(folder), "--name", "hurt")
    pack = max((corliss.home / "blobs" / "packs").glob("*/*"), key=lambda path: path.stat().st_size)
    good = pack.read_bytes()
    pack.write_bytes(good[:2000] + bytes([good[2000] ^ 1]) + good[2001:])
    done = corliss.run_cli("data", "get", "hurt", str(tmp_path / "got"))
    assert done.returncode == 1 and "damaged" in done.stderr, done
    assert not (tmp_path / "got").exists()
    pack.write_bytes(good)
    corliss.cli("data", "get", "hurt", str(tmp_path / "got"))
    assert contents(tmp_path / "got") == contents(folder)


def test_what_the_server_writes_has_the_modes_that_the_client_would_give(
    corliss: Corliss, folder: Path, tmp_path: Path
) -> None:
    corliss.cli("data", "add", str(folder), "--name", "masked")
    command = ["bash", "-c", 'umask 027; exec "$@"', "masked", str(corliss.binary), "data", "get", "masked", str(tmp_path / "got")]
    done = subprocess.run(command, env=corliss.environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done
    modes = {name: (tmp_path / "got" / name).stat().st_mode & 0o777 for name in ("empty", "large.bin", "tool.sh")}
    assert modes == {"empty": 0o640, "large.bin": 0o640, "tool.sh": 0o755}
