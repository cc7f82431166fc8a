"""Drives the real binary on a home of its own: start it, talk to it by CLI and by HTTP, stop it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Callable, Iterator

from . import processes

ROOT = Path(__file__).resolve().parents[2]
ENDED = ("succeeded", "failed", "cancelled")


class CorlissError(Exception):
    """A command of the CLI failed, an answer was not what was asked for, or a wait ran out."""


class ApiError(CorlissError):
    """The server answered with an error; `body` is its JSON, or its text where it was not JSON."""

    def __init__(self, method: str, path: str, status: int, body: Any) -> None:
        super().__init__(f"{method} {path} answered {status}: {body}")
        self.status, self.body = status, body


def default_binary() -> Path:
    return Path(os.environ.get("CORLISS_BIN", ROOT / "target/debug/corliss")).resolve()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def poll(what: str, question: Callable[[], Any], timeout_s: float = 60.0, every_s: float = 0.05) -> Any:
    """Asks until the answer is truthy, and returns it."""
    deadline = time.monotonic() + timeout_s
    while True:
        if answer := question():
            return answer
        if time.monotonic() > deadline:
            raise CorlissError(f"waited {timeout_s:.0f} s for {what}")
        time.sleep(every_s)


class Corliss:
    """One installation: a home folder and, while it is up, the server on it."""

    def __init__(
        self, home: Path, binary: Path | None = None, listen: str | None = None, settings: dict[str, str] | None = None
    ) -> None:
        self.home = Path(home)
        self.binary = Path(binary) if binary else default_binary()
        self.listen = listen or f"127.0.0.1:{free_port()}"
        # Nothing of a Corliss, a tracking server or a proxy that the caller's shell points at leaks in.
        drop = ("CORLISS_", "MLFLOW_", "OPENAI_", "AWS_", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(drop)}
        # The one this runs in; the demo runs in none.
        venv = Path(sys.prefix) if sys.prefix != sys.base_prefix else ROOT / ".venv"
        self.environment |= {
            "CORLISS_HOME": str(self.home),
            "VIRTUAL_ENV": str(venv),
            "PATH": f"{venv / 'bin'}:{self.environment.get('PATH', '')}",
            "DO_NOT_TRACK": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        } | (settings or {})

    # Life

    def up(self) -> dict[str, Any]:
        """Starts the server in the background and returns when it is ready."""
        return json.loads(self.cli("up", "--listen", self.listen, "--json"))

    def down(self, *arguments: str) -> None:
        self.cli("down", *arguments, timeout_s=120)

    def server(self) -> processes.Process:
        found = [p for p in processes.of_home(self.home) if p.verb == "up"]
        if len(found) != 1:
            raise CorlissError(f"{len(found)} servers run on {self.home}: {found}")
        return found[0]

    def kill_server(self) -> None:
        """kill -9; the kernel may take a moment longer than this to let go of what it held."""
        server = self.server()
        server.kill()
        poll("the server to be gone", lambda: not Path(f"/proc/{server.pid}/stat").exists() or _is_zombie(server.pid))

    def kill_everything(self) -> None:
        """For the end of a failed test: nothing of this home survives, in whatever state it is."""
        for _ in range(50):
            left = processes.of_home(self.home)
            if not left:
                return
            for process in left:
                process.kill()
            time.sleep(0.05)

    # Talk

    @property
    def url(self) -> str:
        return f"http://{self.listen}"

    @property
    def token(self) -> str:
        return self.variables()["CORLISS_TOKEN"]

    def variables(self) -> dict[str, str]:
        """What `eval "$(corliss env)"` would set."""
        return json.loads(self.cli("env", "--json"))

    def client_environment(self) -> dict[str, str]:
        """The environment of a shell in which a person works with this installation."""
        return self.environment | self.variables()

    def run_cli(self, *arguments: str, timeout_s: float = 60.0, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.binary), *map(str, arguments)], env=self.environment, cwd=cwd, timeout=timeout_s,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )

    def cli(self, *arguments: str, timeout_s: float = 60.0, cwd: Path = ROOT) -> str:
        """Runs a command that must succeed; answers what it printed."""
        done = self.run_cli(*arguments, timeout_s=timeout_s, cwd=cwd)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise CorlissError(f"corliss {' '.join(map(str, arguments))} ended with {done.returncode}: {said}")
        return done.stdout

    def request(
        self, method: str, path: str, body: Any = None, *, token: str | None = "own",
        headers: dict[str, str] | None = None, timeout_s: float = 30.0,
    ) -> tuple[int, Any]:
        """One HTTP request with a JSON body (or bytes); answers status and JSON (or text)."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        if data is not None and not isinstance(body, bytes):
            request.add_header("content-type", "application/json")
        if token is not None:
            request.add_header("authorization", f"Bearer {self.token if token == 'own' else token}")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return answer.status, _decode(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, _decode(error.read())

    def api(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """A request to the native API that must succeed."""
        status, answer = self.request(method, f"/api/v1{path}", body)
        if status >= 300:
            raise ApiError(method, path, status, answer)
        return answer

    # Work

    def submit(self, file: Path) -> str:
        """`corliss run FILE --detach`; answers the run's id."""
        return json.loads(self.cli("run", file, "--detach", "--json"))["id"]

    def wait_run(self, run: str, timeout_s: float = 120.0) -> dict[str, Any]:
        return poll(f"{run} to end", lambda: self._ended(run), timeout_s, every_s=0.1)

    def _ended(self, run: str) -> dict[str, Any] | None:
        detail = self.api(f"/runs/{run}")
        return detail if detail["state"] in ENDED else None

    def step(self, run: str, name: str) -> dict[str, Any]:
        return next(step for step in self.api(f"/runs/{run}")["steps"] if step["name"] == name)

    def log(self, job: str, rank: int = 0) -> str:
        """What a job's worker wrote in all its pages, as text."""
        return "\n".join(self._log_lines(job, rank))

    def _log_lines(self, job: str, rank: int) -> Iterator[str]:
        offset = 0
        while True:
            page = self.api(f"/jobs/{job}/logs?rank={rank}&stream=both&offset={offset}&limit=1000")
            yield from (line["text"] for line in page["lines"])
            if not page["lines"] or page["next_offset"] == offset:
                return
            offset = page["next_offset"]

    def wait_endpoint(self, name: str, timeout_s: float = 120.0) -> dict[str, Any]:
        return poll(f"endpoint {name} to be ready", lambda: self._ready(name), timeout_s)

    def _ready(self, name: str) -> dict[str, Any] | None:
        status, endpoint = self.request("GET", f"/api/v1/endpoints/{name}")
        if status == 200 and endpoint["state"] == "failed":
            raise CorlissError(f"endpoint {name} failed: {endpoint.get('reason')}")
        return endpoint if status == 200 and endpoint["state"] == "ready" else None

    def server_log(self, lines: int = 40) -> str:
        path = self.home / "logs/server.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""


class temporary_home:
    """A short-lived home folder: short paths, because Unix sockets lie below it."""

    def __enter__(self) -> Path:
        self.path = Path(tempfile.mkdtemp(prefix="corliss-"))
        return self.path / "home"

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def _decode(raw: bytes) -> Any:
    text = raw.decode(errors="replace")
    try:
        return json.loads(text)
    except ValueError:
        return text


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except OSError:
        return True
