"""Pipelines through the CLI: what a person types, what they read, and what must not happen twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.server import Corliss, CorlissError

GATED = """
project: gated
steps:
  make:
    run: python make.py
    outputs: [model]
models:
  weak:
    from: make.model
    when: metrics.accuracy >= 0.95
    alias: champion
"""

MAKE = """
import os, pathlib, mlflow
pathlib.Path(os.environ["CORLISS_OUTPUT_MODEL"], "weights.bin").write_bytes(b"w")
with mlflow.start_run():
    mlflow.log_metric("accuracy", ACCURACY)
"""


@pytest.mark.parametrize("accuracy", [0.5, 0.97])
def test_a_gate_lets_only_good_models_in(corliss: Corliss, project, accuracy: float) -> None:
    file = project(GATED, make__py=MAKE.replace("ACCURACY", str(accuracy)))
    detail = corliss.wait_run(corliss.submit(file))
    assert detail["state"] == "succeeded", detail
    (model,) = detail["models"]
    status, _ = corliss.request("GET", "/api/v1/models/weak")
    if accuracy >= 0.95:
        assert (model["state"], model["version"], status) == ("registered", 1, 200)
    else:
        assert (model["state"], status) == ("gated", 404)
        assert "0.5" in model["reason"] and "0.95" in model["reason"], model["reason"]


def test_every_problem_of_a_file_is_in_one_answer(corliss: Corliss, project) -> None:
    file = project("""
project: bad
steps:
  first:
    run: python a.py
    inptus: [second]
    outputs: [x]
  second:
    run: python b.py
    workers: two
    inputs: [y]
    outputs: [x]
  third:
    run: python c.py
    inputs: [splitz]
""")
    done = corliss.run_cli("run", file, "--json")
    assert done.returncode == 2, done
    said = done.stdout + done.stderr
    for clue in ("inptus", "inputs", "workers", "splitz"):
        assert clue in said, f"{clue} is not named in {said}"
    status, answer = corliss.request(
        "POST", "/api/v1/runs/validate", {"project_file": file.read_text(), "file_name": "corliss.yaml"}
    )
    assert status == 200, answer
    places = {(problem["line"], problem["field"]) for problem in answer["problems"]}
    assert len(answer["problems"]) >= 4, answer
    assert any(line == 6 for line, _ in places), places
    assert all(problem["column"] >= 1 and problem["message"] for problem in answer["problems"])


def test_a_cycle_is_refused_by_name(corliss: Corliss, project) -> None:
    file = project("""
project: round
steps:
  a: {run: "true", inputs: [y], outputs: [x]}
  b: {run: "true", inputs: [x], outputs: [y]}
""")
    done = corliss.run_cli("run", file)
    assert done.returncode == 2
    assert "cycle" in done.stderr and "a" in done.stderr and "b" in done.stderr, done.stderr
    assert corliss.api("/runs")["items"] == []


def test_impossible_resources_are_refused_at_submit(corliss: Corliss, project) -> None:
    file = project("""
project: huge
steps:
  a: {run: "true", resources: {cpus: 4096}}
""")
    done = corliss.run_cli("run", file)
    assert done.returncode in (1, 2), done
    assert "4096" in done.stderr, done.stderr


def test_a_failed_step_says_why_and_a_rerun_goes_on_from_it(corliss: Corliss, project, tmp_path: Path) -> None:
    door = tmp_path / "door"
    count = tmp_path / "count"
    file = project(
        """
project: door
steps:
  before: {run: python before.py, outputs: [x]}
  closed: {run: python closed.py, inputs: [x], outputs: [y]}
  after: {run: python after.py, inputs: [y]}
""",
        before__py=f"import os; open(os.environ['CORLISS_OUTPUT_X'] + '/x', 'w').write('x'); open({str(count)!r}, 'a').write('b')",
        closed__py=f"import os, sys; print('the door is closed', file=sys.stderr); open(os.environ['CORLISS_OUTPUT_Y'] + '/y', 'w').write('y'); sys.exit(0 if os.path.exists({str(door)!r}) else 7)",
        after__py=f"open({str(count)!r}, 'a').write('a')",
    )
    done = corliss.run_cli("run", file, "--json")
    assert done.returncode == 1
    first = json.loads(done.stdout)
    states = {step["name"]: step["state"] for step in first["steps"]}
    assert states == {"before": "succeeded", "closed": "failed", "after": "skipped"}
    closed = next(step for step in first["steps"] if step["name"] == "closed")
    assert "7" in closed["reason"], closed
    assert "the door is closed" in corliss.cli("logs", f"{first['id']}/closed")

    door.touch()
    again = json.loads(corliss.cli("runs", "rerun", first["id"], "--json"))
    states = {step["name"]: step["state"] for step in again["steps"]}
    assert states == {"before": "reused", "closed": "succeeded", "after": "succeeded"}
    assert count.read_text() == "ba"


READS = """
project: reads
data: {raw: raw}
steps:
  read:
    run: >-
      %s stat -c %%i $CORLISS_INPUT_RAW/rows && cat $CORLISS_INPUT_RAW/rows
    inputs: [raw]
    cache: false
"""


def test_a_second_run_on_the_same_data_copies_nothing(corliss: Corliss, project) -> None:
    def read(before: str = "") -> list[str]:
        file = project(READS % before)
        (file.parent / "raw").mkdir()
        (file.parent / "raw/rows").write_text("right\n")
        run = corliss.submit(file)
        assert corliss.wait_run(run)["state"] == "succeeded"
        return corliss.cli("logs", f"{run}/read").split()

    first = read()
    assert first[1:] == ["right"]
    assert read() == first, "it is the same file"
    corliss.down()
    corliss.up()
    assert read() == first, "also after a restart"
    assert read("cd $CORLISS_INPUT_RAW && chmod u+w rows && echo wrong > rows;")[1:] == ["wrong"]
    assert read()[1:] == ["right"], "what one run spoils is not what another reads"


def test_cancel_ends_a_step_that_ignores_sigterm(corliss: Corliss, project) -> None:
    file = project(
        "project: deaf\nsteps:\n  a: {run: python a.py}\n",
        a__py="import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\ntime.sleep(600)\n",
    )
    run = corliss.submit(file)
    from support.server import poll

    poll("the step to be deaf", lambda: (job := corliss.step(run, "a").get("job_id")) and "deaf" in corliss.log(job))
    corliss.cli("runs", "cancel", run)
    detail = corliss.wait_run(run)
    assert detail["state"] == "cancelled"
    assert detail["steps"][0]["state"] == "cancelled"


def test_a_time_out_is_told_from_a_failure(corliss: Corliss, project) -> None:
    file = project("project: slow\nsteps:\n  a: {run: sleep 600, timeout: 1s}\n")
    detail = corliss.wait_run(corliss.submit(file))
    assert detail["state"] == "failed"
    job = corliss.api(f"/jobs/{detail['steps'][0]['job_id']}")
    assert job["tasks"][0]["exit"]["kind"] == "timed_out", job


def test_data_with_a_link_out_of_its_folder_is_refused(corliss: Corliss, project, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not yours")
    file = project("project: out\ndata: {d: ./d}\nsteps:\n  a: {run: \"true\", inputs: [d]}\n")
    data = file.parent / "d"
    data.mkdir()
    (data / "link").symlink_to(tmp_path / "secret")
    done = corliss.run_cli("run", file)
    assert done.returncode == 2, done
    assert "link" in done.stderr, done.stderr


def test_the_server_answers_why_a_job_waits(corliss: Corliss, project) -> None:
    free = corliss.api("/system/status")["inventory"]["total"]
    cpus = free["cpu_milli"] // 1000
    hold = project(f"project: hold\nsteps:\n  a: {{run: sleep 600, resources: {{cpus: {cpus}}}}}\n")
    wait = project(f"project: wait\nsteps:\n  a: {{run: sleep 1, resources: {{cpus: {cpus}}}}}\n")
    from support.server import poll

    holding = corliss.submit(hold)
    poll("the first to run", lambda: corliss.step(holding, "a")["state"] == "running")
    waiting = corliss.submit(wait)
    job = poll("the second to queue", lambda: corliss.step(waiting, "a").get("job_id"))
    why = poll("a reason", lambda: corliss.api(f"/jobs/{job}/why").get("reasons"))
    assert why and "cpu" in corliss.cli("why", job).lower(), why
    corliss.cli("runs", "cancel", holding)
    assert corliss.wait_run(waiting)["state"] == "succeeded"


def test_a_server_that_is_not_up_is_said_so(tmp_path: Path) -> None:
    absent = Corliss(tmp_path / "home")
    done = absent.run_cli("runs", "list")
    assert done.returncode == 3 and "corliss up" in done.stderr, done
    with pytest.raises(CorlissError):
        absent.cli("status")
