"""The command line beside a server that starts, stops, moves and hangs, and with files that are wrong."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import socket
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest

from support import processes
from support.server import Corliss, free_port, poll, temporary_home

# Whether it can be served is found out by loading it: nobody has this operator.
UNSERVABLE = """
import os
import onnx
from onnx import TensorProto, helper
shape = [None, 2]
node = helper.make_node("Unheard", ["x"], ["y"], domain="nobody")
graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)])
opsets = [helper.make_opsetid("", 17), helper.make_opsetid("nobody", 1)]
onnx.save(helper.make_model(graph, opset_imports=opsets), os.environ["CORLISS_OUTPUT_MODEL"] + "/model.onnx")
"""

DEPLOYS = """
project: deploys
steps:
  make: {run: python make.py, outputs: [model]}
models:
  unservable: {from: make.model, alias: champion}
endpoints:
  unservable: {model: unservable@champion}
"""

SLOW = "project: slow\nsteps:\n  count: {run: sh count.sh}\n"
COUNT = "for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 0.4; done\n"


def started(corliss: Corliss, *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(corliss.binary), *map(str, arguments)], env=corliss.environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )


def move(corliss: Corliss) -> None:
    """kill -9, and a new start at another address."""
    corliss.kill_server()
    corliss.listen = f"127.0.0.1:{free_port()}"
    time.sleep(0.5)
    corliss.up()


def test_a_run_is_not_done_before_its_endpoint_is(corliss: Corliss, project) -> None:
    file = project(DEPLOYS, make__py=UNSERVABLE)
    done = corliss.run_cli("run", file)
    assert done.returncode == 1, done
    assert "endpoint unservable deploying" in done.stdout and "POST" not in done.stdout, done.stdout
    assert "endpoint 'unservable' failed: " in done.stderr, done.stderr
    answered = corliss.run_cli("run", file, "--json")
    assert answered.returncode == 1, answered
    (endpoint,) = json.loads(answered.stdout)["endpoints"]
    assert endpoint["state"] == "failed" and endpoint["reason"], endpoint


def test_a_followed_run_and_log_outlive_a_server_that_moves(corliss: Corliss, project) -> None:
    run = corliss.submit(project(SLOW, count__sh=COUNT))
    poll("the step to begin", lambda: corliss.step(run, "count")["state"] == "running")
    log = started(corliss, "logs", f"{run}/count", "--follow")
    time.sleep(1.0)
    move(corliss)
    said, news = log.communicate(timeout=60)
    assert said.split("\n") == [*(f"line {i}" for i in range(1, 9)), ""], said
    assert "is not reachable; trying again" in news and f"answers again at {corliss.url}" in news, news

    followed = started(corliss, "run", project(SLOW, count__sh=COUNT + "# another\n"))
    time.sleep(1.5)
    move(corliss)
    said, news = followed.communicate(timeout=60)
    assert followed.returncode == 0, (said, news)
    assert [line for line in said.splitlines() if "| line" in line] == [f"count | line {i}" for i in range(1, 9)]
    assert "is not reachable; trying again" in news, news


def test_a_bad_file_is_one_document(corliss: Corliss, project) -> None:
    bad = project("project: bad\nsteps:\n  a: {rnu: x}\n")
    checked = corliss.run_cli("check", bad, "--json")
    assert (checked.returncode, checked.stderr) == (2, "")
    answer = json.loads(checked.stdout)
    assert answer["file"] == str(bad) and answer["problems"][0]["line"] == 3, answer
    run = corliss.run_cli("run", bad, "--json")
    assert (run.returncode, run.stdout) == (2, "")
    answer = json.loads(run.stderr)
    assert answer["error"]["code"] == "project_file_invalid" and answer["problems"], answer


def test_problems_that_only_the_server_knows_are_told_one_by_one(corliss: Corliss, project) -> None:
    step = "{run: x, resources: {cpus: 900}}"
    large = project(f"project: large\nsteps:\n  a: {step}\n  b: {step}\n")
    done = corliss.run_cli("run", large)
    assert done.returncode == 2, done
    first, second, last = done.stderr.splitlines()
    assert first.startswith(f"{large}:3:") and "steps.a.resources: " in first, first
    assert second.startswith(f"{large}:4:") and last == f"error: {large} has 2 problems", done.stderr


def test_what_is_in_a_file_does_not_command_the_terminal(corliss: Corliss, project) -> None:
    file = project('project: bad\nsteps:\n  a:\n    run: x\n    "\\e]0;title\\a\\e[2J": 1\n')
    done = corliss.run_cli("check", file)
    assert done.returncode == 2 and "title" in done.stderr
    assert not any(char < " " and char != "\n" for char in done.stderr), repr(done.stderr)


def test_down_waits_for_a_server_that_starts_and_for_another_down() -> None:
    with temporary_home() as home:
        corliss = Corliss(home)
        try:
            starting = started(corliss, "up", "--foreground", "--listen", corliss.listen)
            poll("the lock", lambda: (home / "run/server.lock").exists() and (home / "run/server.lock").read_text())
            downs = [started(corliss, "down"), started(corliss, "down")]
            for down in downs:
                said, complained = down.communicate(timeout=120)
                assert down.returncode == 0, complained
                assert "stopped" in said or "was not running" in said, said
            assert starting.wait(timeout=30) == 0
            assert not processes.of_home(home)
        finally:
            corliss.kill_everything()


def test_a_token_is_never_passed_over(corliss: Corliss) -> None:
    own = corliss.environment
    corliss.environment = own | {"CORLISS_TOKEN": "not-a-token"}
    assert corliss.run_cli("status").returncode == 4
    corliss.environment = own | {"CORLISS_URL": corliss.url}
    done = corliss.run_cli("status")
    assert done.returncode == 2 and "CORLISS_TOKEN is not" in done.stderr, done
    corliss.environment = own


def test_why_no_answer_came_is_told_apart(corliss: Corliss) -> None:
    own = corliss.environment
    said = {}
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        for url in ("here", corliss.url.replace("http:", "https:"), f"http://127.0.0.1:{closed.getsockname()[1]}"):
            corliss.environment = own | {"CORLISS_URL": url, "CORLISS_TOKEN": "x"}
            said[url.partition(":")[0]] = corliss.run_cli("status").stderr
    corliss.environment = own
    assert "is not the URL" in said["here"], said
    assert "speaks plain http" in said["https"], said
    assert "nothing answers there" in said["http"] and "CORLISS_URL" in said["http"], said


def test_hints_name_the_home_that_was_given(corliss: Corliss, tmp_path: Path) -> None:
    done = corliss.run_cli("--home", tmp_path / "no where", "status")
    assert f"corliss --home '{tmp_path / 'no where'}' up" in done.stderr, done.stderr
    assert corliss.cli("help", "run") == corliss.cli("run", "--help")
    assert "shim" not in corliss.run_cli("--json").stderr


@pytest.mark.parametrize("kind", ["dumb", None])
def test_a_dumb_terminal_gets_plain_lines(corliss: Corliss, project, kind: str | None) -> None:
    file = project("project: quick\nsteps:\n  a: {run: echo done}\n")
    environment = {k: v for k, v in corliss.environment.items() if k != "TERM"} | ({"TERM": kind} if kind else {})
    ours, theirs = pty.openpty()
    with subprocess.Popen([str(corliss.binary), "run", str(file)], env=environment, stdin=theirs, stdout=theirs,
                          stderr=theirs) as command:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
    os.close(ours)
    assert command.returncode == 0 and b"a | done" in shown and b"\x1b" not in shown, shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux's way to say that the other side is closed.
        return b""


def test_a_home_within_the_project_is_not_uploaded(tmp_path: Path) -> None:
    (tmp_path / "corliss.yaml").write_text("project: p\nsteps:\n  look: {run: ls -A}\n")
    corliss = Corliss(tmp_path / "home")
    try:
        corliss.up()
        done = corliss.run_cli("run", str(tmp_path / "corliss.yaml"))
        assert done.returncode == 0, done
        assert "look | corliss.yaml" in done.stdout and "look | home" not in done.stdout, done
    finally:
        corliss.down()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("deploy", "e", "--release", "canary", "--max-error-rate", "200%"), "'200%' for '--max-error-rate"),
        (("deploy", "e", "--release", "canary", "--step-time", "0s"), "from 1ms to 720h"),
        (("deploy", "e", "--release", "canary", "--max-p99-ratio", "0"), "must lie between 1 and 1000"),
        (("deploy", "e", "--release", "canary", "--steps", ""), "a whole number from 1 to 100"),
        (("deploy", "e", "--release", "rolling", "--max-p99", "1s"), "--max-p99 belongs to canary"),
        (("deploy", "e", "--release", "ab", "--keep", "5s"), "--keep belongs to blue-green, not to ab"),
        (("deploy", "e", "--release", "canary", "--steps", "50,5"), "--steps must be percentages"),
        (("deploy", "e", "--batch-max", "0"), "'0' for '--batch-max"),
        (("deploy", "e", "--batch-delay", "1h"), "must lie between 0s and 10s"),
        (("deploy", "e", "--batch-max", "8", "--batch-prefer", "16"), "--batch-prefer is 16, which no batch reaches: --batch-max is 8"),
        (("connect", "e", "--url", "nourl"), "--url 'nourl' must begin with http:// or https://"),
        (("connect", "e", "--url", "http://a", "--weight", "0"), "'0' for '--weight"),
    ],
)
def test_what_is_refused_is_called_by_its_flag(shared: Corliss, arguments: tuple[str, ...], said: str) -> None:
    done = shared.run_cli("endpoints", *arguments, "--model", "m/1")
    assert done.returncode == 2 and said in done.stderr, done
    for member in ("release.", "batching.", "targets[", "_ms", "_bp"):
        assert member not in done.stderr, done


def test_the_usage_repeats_no_home_that_nobody_typed(corliss: Corliss) -> None:
    assert "CORLISS_HOME" in corliss.environment
    done = corliss.run_cli("endpoints", "deploy")
    assert done.returncode == 2 and "Usage: corliss endpoints deploy" in done.stderr, done
    assert "--home" not in done.stderr, done


def test_no_limits_are_no_error_of_who_is_there(corliss: Corliss) -> None:
    assert "You have no limits." in corliss.cli("admin", "limits", "show")
    corliss.cli("admin", "token", "create", "ana", "--role", "data-scientist")
    assert "'ana' has no limits." in corliss.cli("admin", "limits", "show", "ana")
    assert json.loads(corliss.cli("admin", "limits", "show", "ana", "--json")) == {"name": "ana", "limits": None}
    done = corliss.run_cli("admin", "limits", "show", "anna")
    assert done.returncode == 5 and "admin token list" in done.stderr, done
    done = corliss.run_cli("admin", "limits", "set", "ana", "--at-once", "0")
    assert done.returncode == 2 and "--at-once" in done.stderr and "concurrent_max" not in done.stderr, done


def test_a_table_fits_a_narrow_terminal(corliss: Corliss) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 50, 0, 0))
    with subprocess.Popen([str(corliss.binary), "admin", "token", "list"], env=corliss.environment, stdin=theirs,
                          stdout=theirs, stderr=theirs) as command:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
    os.close(ours)
    lines = shown.decode().splitlines()
    assert command.returncode == 0 and max(map(len, lines)) <= 50, shown
    # A program gets a row a line, whole.
    plain = corliss.cli("admin", "token", "list")
    assert set(plain.split()) == set(" ".join(lines).split()), (plain, shown)


def test_a_trace_that_is_not_there_is_looked_for_where_it_is_said(tmp_path: Path) -> None:
    corliss = Corliss(tmp_path / "home")
    corliss.environment = {k: v for k, v in corliss.environment.items() if k != "CORLISS_TRACES"}
    done = corliss.run_cli("simulate", "--trace", "azure-llm:nowhere.csv")
    # What is said of the folder depends on whether there is a shared one.
    assert done.returncode == 2 and "'nowhere.csv'" in done.stderr and "a CSV file" in done.stderr, done
    corliss.environment |= {"CORLISS_TRACES": str(tmp_path)}
    done = corliss.run_cli("simulate", "--trace", "azure-llm:nowhere.csv")
    assert str(tmp_path) in done.stderr and "its folder azure-llm" in done.stderr, done
