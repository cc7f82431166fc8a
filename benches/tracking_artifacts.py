"""A 1 GB artifact up and down through the proxy, as the mlflow client sends and fetches it, beside what this disk takes
for the same bytes past the page cache, and beside a copy of them in it, synced for the way up. MLflow's own server is
measured too, what the client takes with a server that does nothing (it throws away what comes and sends zeros), and
what a client in C takes that writes no file (curl), which shows the server's own speed.

Ours hashes, cuts, seals and syncs on the way up, and opens and verifies on the way down."""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Iterator

from common import Corliss, arguments, fresh, report

os.environ |= {"DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
               "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}

import mlflow  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository  # noqa: E402

from mlflow_server import mlflow_server  # noqa: E402

GIGABYTE = 1_000_000_000
BLOCK = 8 * 1024 * 1024


def synced() -> None:
    subprocess.run(["sync"], check=True)


def seconds(work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def make(file: Path) -> None:
    with open(file, "wb") as out:
        for _ in range(GIGABYTE // 10_000_000):
            out.write(os.urandom(10_000_000))


def disk(file: Path, folder: Path) -> tuple[float, float]:
    """The same bytes to the disk and back past the page cache, in seconds: what no program that keeps them can beat."""
    buffer = mmap.mmap(-1, BLOCK)  # aligned, as the disk wants it
    raw = folder / "raw"

    def up() -> None:
        out = os.open(raw, os.O_WRONLY | os.O_CREAT | os.O_DIRECT, 0o600)
        with open(file, "rb", buffering=0) as source:
            while read := source.readinto(buffer):
                # The last block is written whole: it cannot be written in part.
                os.write(out, memoryview(buffer)[: -(-read // 4096) * 4096])
        os.fsync(out)
        os.close(out)

    def down() -> None:
        source = os.open(raw, os.O_RDONLY | os.O_DIRECT)
        while os.readv(source, [buffer]):
            pass
        os.close(source)

    took = seconds(up), seconds(down)
    raw.unlink()
    return took


def copy(file: Path, folder: Path) -> tuple[float, float]:
    """A copy through the page cache that is synced, and one that is not, in seconds."""
    def up() -> None:
        shutil.copyfile(file, folder / "up")
        with open(folder / "up", "rb+") as copied:
            os.fsync(copied.fileno())

    took = seconds(up), seconds(lambda: shutil.copyfile(file, folder / "down"))
    (folder / "up").unlink()
    (folder / "down").unlink()
    return took


def do_nothing(connection: socket.socket, block: bytearray) -> None:
    """Answers the requests of one connection."""
    with connection, connection.makefile("rb", buffering=0) as stream:
        while request := stream.readline():
            left = 0
            while (header := stream.readline().lower()) not in (b"", b"\r\n"):
                if header.startswith(b"content-length:"):
                    left = int(header.split(b":")[1])
            while left and (read := connection.recv_into(block, min(left, len(block)))):
                left -= read
            size = GIGABYTE if request.startswith(b"GET") else 2
            connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
            if size == 2:
                connection.sendall(b"{}")
            for _ in range(size // len(block)):
                connection.sendall(block)


@contextlib.contextmanager
def nothing() -> Iterator[str]:
    """The URL of a server that does nothing with artifacts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=do_nothing, args=(connection, bytearray(1_000_000)), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/artifacts"
        listener.shutdown(socket.SHUT_RDWR)


def alone(url: str, file: Path, folder: Path) -> tuple[float, float]:
    """The client with a server that does nothing, in seconds."""
    artifacts = HttpArtifactRepository(url)
    took = (
        seconds(lambda: artifacts.log_artifact(str(file))),
        seconds(lambda: artifacts._download_file("zeros", str(folder / "zeros"))),
    )
    (folder / "zeros").unlink()
    return took


def curl(corliss: Corliss, file: Path) -> tuple[float, float]:
    """A client that costs little, and that writes nothing on the way down, in seconds."""
    run = MlflowClient(corliss.url).create_run("0").info
    path = run.artifact_uri.removeprefix("mlflow-artifacts:/")
    url = f"{corliss.url}/api/2.0/mlflow-artifacts/artifacts/{path}/{file.name}"
    # The token is no argument: whoever lists processes would see it.
    command = ["curl", "--fail", "--silent", "--show-error", "--config", "-", "--output", os.devnull]
    header = f'header = "Authorization: Bearer {corliss.token}"'

    def ask(*arguments: str) -> None:
        subprocess.run([*command, *arguments, url], input=header, text=True, check=True)

    up = seconds(lambda: ask("--upload-file", str(file), "--header", "Expect:"))
    synced()
    return up, seconds(lambda: ask())


def through(url: str, file: Path, folder: Path) -> tuple[float, float]:
    mlflow.set_tracking_uri(url)
    client = MlflowClient(url)
    run = client.create_run("0").info.run_id
    up = seconds(lambda: client.log_artifact(run, str(file)))
    synced()
    down = seconds(lambda: client.download_artifacts(run, file.name, str(folder)))
    (folder / file.name).unlink()
    return up, down


def main() -> None:
    options = arguments(__doc__)
    with (
        tempfile.TemporaryDirectory() as place, mlflow_server() as peer, nothing() as sink,
        fresh(options.binary) as corliss,
    ):
        os.environ |= corliss.variables()
        folder = Path(place)
        who = ["disk", "copy", "client alone", "MLflow", "Corliss", "Corliss, curl"]
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in who}
        for number in range(options.rounds):
            # New bytes each time: what is stored already costs nothing.
            file = folder / f"artifact-{number}"
            make(file)
            (folder / "out").mkdir(exist_ok=True)
            synced()
            took["disk"].append(disk(file, folder / "out"))
            synced()
            took["copy"].append(copy(file, folder / "out"))
            synced()
            took["client alone"].append(alone(sink, file, folder / "out"))
            took["MLflow"].append(through(peer, file, folder / "out"))
            took["Corliss"].append(through(corliss.url, file, folder / "out"))
            file.unlink()
            # Bytes that it does not have yet.
            make(file)
            synced()
            took["Corliss, curl"].append(curl(corliss, file))
            file.unlink()
        for index, way in enumerate(["up", "down"]):
            medians = {who: statistics.median(each[index] for each in times) for who, times in took.items()}
            for who, median in medians.items():
                report(f"1 GB {way}: {who}", GIGABYTE / 1e6 / median, "MB/s")
            report(f"1 GB {way}: Corliss of the disk", medians["disk"] / medians["Corliss"], "of it", "at least 0.7")
            report(f"1 GB {way}: Corliss of a copy in memory", medians["copy"] / medians["Corliss"], "of it")
            report(f"1 GB {way}: Corliss of the client alone", medians["client alone"] / medians["Corliss"], "of it")
            report(f"1 GB {way}: Corliss with curl of the disk", medians["disk"] / medians["Corliss, curl"], "of it")
            report(f"1 GB {way}: Corliss of MLflow", medians["MLflow"] / medians["Corliss"], "times")


if __name__ == "__main__":
    sys.exit(main())
