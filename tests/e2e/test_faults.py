"""Faults: kill -9 of server, shim and worker, a full disk, tasks that do not behave. Nothing acknowledged
is lost, nothing runs twice, no process stays (the `corliss` fixture checks that after every test)."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from support import processes
from support.disk import small_disk
from support.server import Corliss, CorlissError, poll, temporary_home

# A step that says when it began and ended, outside of Corliss, and leaves an output.
MARKED = """
import os, sys, time
marks, seconds = sys.argv[1], float(sys.argv[2])
name = os.environ["CORLISS_STEP"]
with open(os.path.join(marks, name), "a") as file:
    file.write("begin\\n"); file.flush()
    time.sleep(seconds)
    file.write("end\\n")
out = os.environ.get("CORLISS_OUTPUT_" + name.upper())
if out:
    open(os.path.join(out, "done"), "w").write(name)
"""


def chain(steps: int, marks: Path, seconds: float) -> str:
    lines = ["project: chain", "steps:"]
    for i in range(steps):
        inputs = f", inputs: [s{i - 1}]" if i else ""
        lines.append(f"  s{i}: {{run: python step.py {marks} {seconds}, outputs: [s{i}]{inputs}}}")
    return "\n".join(lines) + "\n"


def chance() -> random.Random:
    seed = int(os.environ.get("CORLISS_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"replay with CORLISS_TEST_SEED={seed}")
    return random.Random(seed)


def test_a_killed_server_neither_loses_nor_repeats_a_step(corliss: Corliss, project, tmp_path: Path) -> None:
    moments = chance()
    marks = tmp_path / "marks"
    marks.mkdir()
    run = corliss.submit(project(chain(8, marks, 0.15), step__py=MARKED))
    for _ in range(6):
        time.sleep(moments.uniform(0.0, 0.7))
        corliss.kill_server()
        corliss.up()
        assert run in [item["id"] for item in corliss.api("/runs")["items"]], "an acknowledged run is lost"
    detail = corliss.wait_run(run)
    assert detail["state"] == "succeeded", detail
    for step in detail["steps"]:
        assert (marks / step["name"]).read_text() == "begin\nend\n", f"{step['name']} did not run exactly once"
        assert step["attempt"] == 1, step


def test_a_killed_server_finds_its_task_again(corliss: Corliss, project, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    run = corliss.submit(project(chain(1, marks, 3.0), step__py=MARKED))
    poll("the step to begin", lambda: (marks / "s0").exists())
    before = corliss.api(f"/jobs/{corliss.step(run, 's0')['job_id']}")["tasks"][0]["pid"]
    corliss.kill_server()
    assert Path(f"/proc/{before}").exists(), "the task died with the server"
    corliss.up()
    detail = corliss.wait_run(run)
    assert detail["state"] == "succeeded", detail
    assert (marks / "s0").read_text() == "begin\nend\n"


def test_a_task_that_ends_while_the_server_is_away_is_recorded(corliss: Corliss, project, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    run = corliss.submit(project(chain(2, marks, 1.0), step__py=MARKED))
    poll("the step to begin", lambda: (marks / "s0").exists())
    corliss.kill_server()
    poll("the step to end", lambda: (marks / "s0").read_text().endswith("end\n"))
    corliss.up()
    detail = corliss.wait_run(run)
    assert detail["state"] == "succeeded", detail
    assert (marks / "s0").read_text() == (marks / "s1").read_text() == "begin\nend\n"


@pytest.mark.parametrize("victim", ["shim", "worker"])
def test_a_killed_shim_or_worker_costs_one_attempt(corliss: Corliss, project, tmp_path: Path, victim: str) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    text = chain(1, marks, 2.0).replace("outputs: [s0]", "outputs: [s0], retries: {infrastructure: 2, user: 0}")
    run = corliss.submit(project(text, step__py=MARKED))
    poll("the step to begin", lambda: (marks / "s0").exists())
    task = corliss.api(f"/jobs/{corliss.step(run, 's0')['job_id']}")["tasks"][0]
    worker = next(process for process in processes.of_home(corliss.home) if process.pid == task["pid"])
    if victim == "worker":
        worker.kill()
    else:
        next(p for p in processes.of_home(corliss.home) if p.verb == "shim").kill()
    detail = corliss.wait_run(run)
    assert detail["state"] == "succeeded", detail
    (step,) = detail["steps"]
    assert step["attempt"] == 2 and step["attempts"][0]["class"] == "infrastructure", step["attempts"]
    assert (marks / "s0").read_text() == "begin\nbegin\nend\n", "the first attempt went on beside the second"


def test_an_error_of_the_user_is_not_tried_again(corliss: Corliss, project) -> None:
    file = project("project: typo\nsteps:\n  a: {run: python nowhere.py, retries: {infrastructure: 5, user: 0}}\n")
    detail = corliss.wait_run(corliss.submit(file))
    assert (detail["state"], detail["steps"][0]["attempt"]) == ("failed", 1)
    assert detail["steps"][0]["attempts"][0]["class"] == "user"


def test_a_gang_ends_as_one(corliss: Corliss, project) -> None:
    script = "import os, sys, time\nif os.environ['RANK'] == '1': sys.exit(3)\ntime.sleep(600)\n"
    file = project("project: gang\nsteps:\n  a: {run: a.py, launcher: torchrun, workers: 2}\n", a__py=script)
    detail = corliss.wait_run(corliss.submit(file))
    assert detail["state"] == "failed"
    tasks = {task["rank"]: task["exit"] for task in corliss.api(f"/jobs/{detail['steps'][0]['job_id']}")["tasks"]}
    assert (tasks[1]["kind"], tasks[1]["code"]) == ("exited", 3)
    assert "3" in detail["steps"][0]["reason"] and "1" in detail["steps"][0]["reason"]


def test_a_daemon_that_a_step_forks_does_not_outlive_it(corliss: Corliss, project, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open({str(pid_file)!r}, "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
while not os.path.exists({str(pid_file)!r}) or not open({str(pid_file)!r}).read():
    time.sleep(0.01)
"""
    detail = corliss.wait_run(corliss.submit(project("project: d\nsteps:\n  a: {run: python a.py}\n", a__py=script)))
    assert detail["state"] == "succeeded", detail
    daemon = int(pid_file.read_text())
    poll("the daemon to be gone", lambda: not Path(f"/proc/{daemon}").exists(), timeout_s=20)


def test_a_memory_hog_is_told_from_a_crash(corliss: Corliss, project) -> None:
    script = "held = []\nwhile True: held.append(bytearray(16 << 20)); print(len(held) * 16, 'MiB', flush=True)\n"
    file = project("project: hog\nsteps:\n  a: {run: python a.py, resources: {memory: 256MiB}}\n", a__py=script)
    detail = corliss.wait_run(corliss.submit(file))
    assert detail["state"] == "failed"
    job = corliss.api(f"/jobs/{detail['steps'][0]['job_id']}")
    assert job["tasks"][0]["exit"]["kind"] == "out_of_memory", job
    assert "memory" in detail["steps"][0]["reason"], detail


def test_down_can_leave_tasks_and_up_takes_them_over(corliss: Corliss, project, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    run = corliss.submit(project(chain(1, marks, 2.0), step__py=MARKED))
    poll("the step to begin", lambda: (marks / "s0").exists())
    corliss.down("--keep-tasks")
    assert [p.verb for p in processes.of_home(corliss.home) if p.verb == "up"] == []
    corliss.up()
    assert corliss.wait_run(run)["state"] == "succeeded"
    assert (marks / "s0").read_text() == "begin\nend\n"


def test_one_home_has_one_server(corliss: Corliss) -> None:
    before = corliss.server().pid
    assert corliss.up()["url"] == corliss.url, "a second `up` says where the first one is"
    second = subprocess.run(
        [str(corliss.binary), "up", "--foreground", "--listen", "127.0.0.1:0"], env=corliss.environment,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
    )
    assert second.returncode != 0 and str(corliss.home) in second.stderr, second
    assert corliss.server().pid == before


def test_of_many_first_starts_one_wins_and_all_say_where() -> None:
    with temporary_home() as home:
        corliss = Corliss(home)
        starts = [
            subprocess.Popen(
                [str(corliss.binary), "--json", "up", "--listen", "127.0.0.1:0"], env=corliss.environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for _ in range(5)
        ]
        try:
            said = [start.communicate(timeout=60) for start in starts]
            assert [start.returncode for start in starts] == [0] * len(starts), said
            answers = [json.loads(out) for out, _ in said]
            assert len({answer["url"] for answer in answers}) == 1, answers
            assert sum(answer["started"] for answer in answers) == 1, answers
        finally:
            corliss.down()


def test_beyond_loopback_needs_tls() -> None:
    with temporary_home() as home:
        corliss = Corliss(home, listen="0.0.0.0:0")
        done = corliss.run_cli("up", "--listen", "0.0.0.0:0")
        assert done.returncode != 0 and "tls" in done.stderr.lower(), done
        assert processes.of_home(home) == []


def test_a_full_disk_fails_the_step_and_not_the_server(project) -> None:
    script = """
import json
import os
with open(os.environ["CORLISS_OUTPUT_X"] + "/x", "wb") as file:
    while True:
        file.write(bytes(1 << 20)); file.flush()
"""
    with temporary_home() as home:
        home.mkdir()
        with small_disk(home, "96m"):
            corliss = Corliss(home)
            try:
                corliss.up()
                full = project("project: full\nsteps:\n  a: {run: python a.py, outputs: [x]}\n", a__py=script)
                detail = corliss.wait_run(corliss.submit(full))
                assert detail["state"] == "failed", detail
                # Its log may be empty: there was no room for that either.
                assert detail["steps"][0]["attempts"][0]["class"] == "user", detail
                # What failed leaves no output behind, so there is room again.
                small = project("project: small\nsteps:\n  a: {run: \"true\"}\n")
                assert corliss.wait_run(corliss.submit(small))["state"] == "succeeded"
                corliss.down()
                assert not processes.wait_until_none(home)
            except (AssertionError, CorlissError):
                print(corliss.server_log())
                raise
            finally:
                corliss.kill_everything()
