"""Versions of folders, beside DVC on the same disk in the same run: 70,000 files of 270 bytes and 25,000 of 35 KB,
first added, looked at unchanged, added again unchanged, added with one file changed, pushed to a local remote, and laid
out; and the status of 100,000 unchanged files. Then one file of 1 GB beside `cp`, an
fsync and one BLAKE3 pass, which is what no store that keeps a copy can beat; and how much a second version of it
takes in which 1 % was inserted in the middle. Corliss encrypts, and answers when the bytes are synced; DVC copies into
its cache. What Corliss lays out comes from the disk; so the copy beside it does, and once more from memory."""

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

import blake3
from common import arguments, fresh, report

from support.server import Corliss, temporary_home

SHAPES = {"70,000 of 270 B": (70_000, 270), "25,000 of 35 KB": (25_000, 35_000)}
LARGE_BYTES = 1 << 30
DVC = Path(sys.executable).parent / "dvc"


def seconds(work: Callable[[], object]) -> float:
    os.sync()
    begin = time.monotonic()
    work()
    return time.monotonic() - begin


def fill(folder: Path, files: int, size: int, seed: int = 1) -> None:
    noise = random.Random(seed)
    for number in range(files):
        path = folder / f"{number // 1000:03d}" / f"{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(noise.randbytes(size))


def change_one(folder: Path) -> None:
    (folder / "007" / "7007.bin").write_bytes(b"changed")


def copied(source: Path, target: Path, *, synced: bool) -> float:
    def copy() -> None:
        subprocess.run(["cp", "-r", source, target], check=True)
        if synced:
            os.sync()

    taken = seconds(copy)
    shutil.rmtree(target)
    return taken


def corliss_times(corliss: Corliss, folder: Path, name: str) -> dict[str, float]:
    add = lambda: corliss.cli("data", "add", str(folder), "--name", name, timeout_s=600)  # noqa: E731
    times = {"add": seconds(add)}
    # What was written a moment before it was looked at is not taken for unchanged later.
    time.sleep(1.1)
    times["status, unchanged"] = seconds(lambda: corliss.cli("data", "status", str(folder), timeout_s=600))
    times["add, unchanged"] = seconds(add)
    change_one(folder)
    times["add, one file changed"] = seconds(add)
    times["push"] = seconds(lambda: corliss.cli("data", "push", name, "local", timeout_s=600))
    target = folder.parent / "laid-out"
    times["lay out"] = seconds(lambda: corliss.cli("data", "checkout", name, str(target), timeout_s=600))
    shutil.rmtree(target)
    return times


def dvc_times(work: Path, files: int, size: int) -> dict[str, float]:
    def dvc(*arguments: str) -> None:
        subprocess.run([DVC, *arguments, "--quiet"], cwd=work, check=True, env=os.environ | {"DVC_NO_ANALYTICS": "1"})

    dvc("init", "--no-scm")
    dvc("remote", "add", "--default", "local", str(work / "remote"))
    folder = work / "data"
    fill(folder, files, size)
    times = {"add": seconds(lambda: dvc("add", "data"))}
    times["status, unchanged"] = seconds(lambda: dvc("status"))
    times["add, unchanged"] = seconds(lambda: dvc("add", "data"))
    change_one(folder)
    times["add, one file changed"] = seconds(lambda: dvc("add", "data"))
    times["push"] = seconds(lambda: dvc("push"))
    shutil.rmtree(folder)
    times["lay out"] = seconds(lambda: dvc("checkout"))
    return times


def compare_folders(corliss: Corliss, work: Path) -> None:
    for shape, (files, size) in SHAPES.items():
        folder = work / "ours"
        fill(folder, files, size)
        ours = corliss_times(corliss, folder, f"f{files}")
        limits = {
            "push": ("cp -r of the packs and sync", copied(corliss.home / "blobs/packs", work / "copied", synced=True)),
            "lay out": ("cp -r of the files", copied(folder, work / "copied", synced=False)),
        }
        shutil.rmtree(folder)
        peer = work / "dvc"
        peer.mkdir()
        theirs = dvc_times(peer, files, size)
        shutil.rmtree(peer)
        for step, own in ours.items():
            report(f"{shape}, {step}", own, "s", f"dvc {theirs[step]:.1f} s")
            report(f"{shape}, {step}, dvc over corliss", theirs[step] / own, "ratio", "at least 10")
            if step in limits:
                limit, taken = limits[step]
                report(f"{shape}, {step}, of {limit}", taken / own, "ratio", f"{taken:.2f} s; dvc over it {theirs[step] / taken:.1f}")


def status_of_many(corliss: Corliss, work: Path) -> None:
    folder = work / "many"
    fill(folder, 100_000, 1000)
    corliss.cli("data", "add", str(folder), "--name", "many", timeout_s=600)
    time.sleep(1.1)
    status = lambda: corliss.cli("data", "status", str(folder), timeout_s=600)  # noqa: E731
    status()
    report("100,000 files, status, unchanged", min(seconds(status) for _ in range(3)), "s", "under 1")
    shutil.rmtree(folder)


def stored_bytes(corliss: Corliss) -> int:
    return sum(path.stat().st_size for path in (corliss.home / "blobs/packs").rglob("*") if path.is_file())


def evict(path: Path) -> None:
    """From the page cache; what is in it was synced."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def large_file(corliss: Corliss, work: Path) -> None:
    folder = work / "large"
    folder.mkdir()
    path = folder / "one.bin"
    noise = random.Random(2)
    with path.open("wb") as file:
        for _ in range(LARGE_BYTES >> 20):
            file.write(noise.randbytes(1 << 20))

    def copy_and_hash() -> None:
        with path.open("rb") as source, (work / "copy").open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
            os.fsync(target.fileno())
        blake3.blake3().update_mmap(path)

    limit = seconds(copy_and_hash)
    own = seconds(lambda: corliss.cli("data", "add", str(folder), "--name", "large", timeout_s=600))
    report("1 GB file, add", LARGE_BYTES / own / 1e6, "MB/s", f"cp + fsync + BLAKE3: {LARGE_BYTES / limit / 1e6:.0f}")
    report("1 GB file, add, of the limit", limit / own, "ratio", "at least 0.7")
    (work / "copy").unlink()
    own = seconds(lambda: corliss.cli("data", "get", "large", str(work / "laid-out"), timeout_s=600))
    for source in ("the disk", "memory"):
        if source == "the disk":
            evict(path)
        limit = seconds(lambda: (shutil.copyfile(path, work / "copy"), blake3.blake3().update_mmap(path)))
        (work / "copy").unlink()
        report(f"1 GB file, lay out, of cp from {source} + BLAKE3", limit / own, "ratio", "at least 0.7")
    assert (work / "laid-out/one.bin").stat().st_size == LARGE_BYTES
    before = stored_bytes(corliss)
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + noise.randbytes(LARGE_BYTES // 100) + whole[middle:])
    corliss.cli("data", "add", str(folder), "--name", "large", timeout_s=600)
    added = (stored_bytes(corliss) - before) / LARGE_BYTES
    report("1 GB file, 1 % inserted: stored anew", added * 100, "%", "under 5")


def measure(binary: Path, remote: str, work: Path) -> None:
    with fresh(binary, config=remote) as corliss:
        compare_folders(corliss, work)
        status_of_many(corliss, work)
        large_file(corliss, work)


def main() -> None:
    options = arguments(__doc__)
    with temporary_home() as work:
        remote = f'[remotes.local]\nurl = "file://{work}/remote"\n'
        measure(options.binary, remote, work)


if __name__ == "__main__":
    main()
