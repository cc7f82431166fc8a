"""What size costs: the same change committed to datasets of 10,000 and of 1,000,000 files, and the most memory that the
client and the server take to bring in 1,000,000 files, and one file of 10 GB. The files of a dataset are made by edits
that name one stored blob, so that only the history is measured; the import reads a real folder."""

import json
import os
import random
import shutil
import statistics
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

from common import arguments, fresh, report

from support.server import Corliss, temporary_home

SIZES = (10_000, 1_000_000)
COMMITS = 20
EDITS = 100_000
MANY = 1_000_000
LARGE_BYTES = 10 << 30


def post(corliss: Corliss, path: str, body: object) -> dict:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {corliss.token}", "content-type": "application/json"}
    request = urllib.request.Request(f"{corliss.url}/api/v1{path}", data=data, headers=headers, method="POST")
    with urllib.request.urlopen(request, timeout=600) as answer:
        return json.load(answer)


def commit_costs(corliss: Corliss) -> None:
    blobs = [post(corliss, "/data/blobs", f"content {number}".encode())["id"] for number in range(COMMITS + 1)]
    costs = {}
    for files in SIZES:
        commits = f"/data/datasets/of-{files}/commits"
        for first in range(0, files, EDITS):
            edits = [
                {"path": f"{number // 1000:04d}/{number:07d}.txt", "blob": blobs[0]}
                for number in range(first, min(first + EDITS, files))
            ]
            post(corliss, commits, {"edits": edits})
        times = []
        for blob in blobs[1:]:
            number = random.Random(blob).randrange(files)
            begin = time.monotonic()
            post(corliss, commits, {"edits": [{"path": f"{number // 1000:04d}/{number:07d}.txt", "blob": blob}]})
            times.append(time.monotonic() - begin)
        costs[files] = statistics.median(times)
        report(f"one file changed of {files:,}, commit", costs[files] * 1000, "ms", f"median of {COMMITS}")
    small, large = (costs[files] for files in SIZES)
    report("commit at 1,000,000 files over 10,000", large / small, "ratio", "far below 100")


def peak_of(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def add_with_peaks(corliss: Corliss, folder: Path, name: str) -> tuple[float, float, float]:
    """Seconds, and the most bytes of the client and of the server, in MB."""
    begin = time.monotonic()
    client = subprocess.Popen(
        [corliss.binary, "data", "add", folder, "--name", name], env=corliss.environment, stdout=subprocess.DEVNULL
    )
    peaks = [0]

    def watch() -> None:
        while client.poll() is None:
            try:
                peaks.append(peak_of(client.pid))
            except (FileNotFoundError, ProcessLookupError, StopIteration):
                return
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert client.wait(timeout=3600) == 0
    watcher.join()
    return time.monotonic() - begin, max(peaks) / 1e6, peak_of(corliss.server().pid) / 1e6


def imports(binary: Path) -> None:
    for what in ("1,000,000 files", "10 GB in one file"):
        with temporary_home() as work, fresh(binary) as corliss:
            folder = work / "import"
            folder.mkdir(parents=True)
            if what.startswith("1,"):
                for number in range(MANY):
                    if number % 1000 == 0:
                        (folder / f"{number // 1000:04d}").mkdir()
                    (folder / f"{number // 1000:04d}" / f"{number}.txt").write_text(f"file {number}\n")
            else:
                # Nothing in it twice, so that all of it is stored: the disk must hold 21 GB.
                noise = random.Random(3)
                with (folder / "one.bin").open("wb") as file:
                    for _ in range(LARGE_BYTES >> 24):
                        file.write(noise.randbytes(1 << 24))
            os.sync()
            took, client, server = add_with_peaks(corliss, folder, "import")
            report(f"{what}, add", took, "s", "")
            report(f"{what}, add, memory of the client", client, "MB", "under 500")
            report(f"{what}, add, memory of the server", server, "MB", "under 500")
            shutil.rmtree(folder)


def main() -> None:
    options = arguments(__doc__)
    with fresh(options.binary) as corliss:
        commit_costs(corliss)
    imports(options.binary)


if __name__ == "__main__":
    main()
