"""Queues through the CLI: set by a file, named by steps, explained, and given back when another has a right to them."""

from __future__ import annotations

import csv
import json
import os
import random
import time
from pathlib import Path

import pytest

from support.server import Corliss, CorlissError, poll

PROJECT = """
project: QUEUED
queue: QUEUE
steps:
  work:
    run: python work.py
    resources: {cpus: 1}
    SETTINGS
    cache: false
"""
# Goes on until there is a file, so that nothing here waits for a clock.
WORK = """
import os, pathlib, time
while not pathlib.Path(os.environ["UNTIL"]).exists():
    time.sleep(0.05)
"""
ONE = {"quota": {"cpu_milli": 1000}, "borrow": {"cpu_milli": 0}}


@pytest.fixture
def submit(corliss: Corliss, project, tmp_path: Path):
    """Submits a project of one step that runs until it is let go; answers the run and how to let it go."""
    (tmp_path / "held").mkdir()

    def submit(name: str, queue: str, **settings: object) -> tuple[str, Path]:
        until = tmp_path / "held" / name
        told = {**settings, "env": {"UNTIL": str(until)}}
        lines = "\n    ".join(f"{key}: {json.dumps(value)}" for key, value in told.items())
        text = PROJECT.replace("QUEUED", name).replace("QUEUE", queue).replace("SETTINGS", lines)
        return corliss.submit(project(text, work__py=WORK)), until

    return submit


def jobs_of(corliss: Corliss, run: str) -> list[dict]:
    return corliss.api(f"/jobs?run_id={run}")["items"]


def runs(corliss: Corliss, run: str) -> dict:
    def running() -> dict | None:
        return next((job for job in jobs_of(corliss, run) if job["state"] == "running"), None)

    return poll(f"a job of {run} to run", running, 60)


def waits(corliss: Corliss, run: str) -> dict:
    def waiting() -> dict | None:
        return next((job for job in jobs_of(corliss, run) if job["state"] == "queued"), None)

    return poll(f"a job of {run} to wait", waiting, 60)


def apply(corliss: Corliss, tmp_path: Path, settings: dict, *flags: str) -> dict:
    file = tmp_path / "queues.json"
    file.write_text(json.dumps(settings))
    return json.loads(corliss.cli("admin", "queues", "apply", str(file), "--json", *flags))


def test_a_quota_bounds_a_queue_and_a_preview_says_what_more_would_do(corliss: Corliss, submit, tmp_path: Path) -> None:
    apply(corliss, tmp_path, {"queues": {"small": ONE}})
    first, until = submit("first", "small", timeout="1h")
    held = runs(corliss, first)
    second, other = submit("second", "small")
    waiting = waits(corliss, second)
    why = json.loads(corliss.cli("why", waiting["id"], "--json"))
    assert why["reasons"][0]["code"] == "over_quota", why
    assert "a quota of 1 CPU" in why["summary"], why
    assert why["starts_after"] == held["id"] and why["position"] == 1, why
    told = corliss.cli("why", f"{second}/work")
    assert "It starts in 5" in told or "It starts in 1 h" in told, told

    more = {"queues": {"small": {"quota": {"cpu_milli": 2000}, "borrow": {"cpu_milli": 0}}}}
    effect = apply(corliss, tmp_path, more, "--dry-run")
    assert [job["job_id"] for job in effect["starts"]] == [waiting["id"]], effect
    assert waits(corliss, second)["id"] == waiting["id"]
    shown = json.loads(corliss.cli("admin", "queues", "show", "--json"))
    assert shown["usage"]["small"]["waiting"] == 1 and shown["usage"]["small"]["running"] == 1, shown
    # What is shown is what is applied.
    shown["settings"]["queues"]["small"]["quota"]["cpu_milli"] = 2000
    apply(corliss, tmp_path, shown)
    runs(corliss, second)
    for done in (until, other):
        done.touch()
    for run in (first, second):
        assert corliss.wait_run(run)["state"] == "succeeded"


def test_who_makes_room_for_another_goes_on_afterwards_and_spends_no_retry(corliss: Corliss, submit, tmp_path: Path) -> None:
    apply(corliss, tmp_path, {"queues": {"one": {**ONE, "preempt": ["lower"]}}})
    low, until = submit("low", "one", preemptible=True, retries={"infrastructure": 0, "user": 0})
    victim = runs(corliss, low)
    urgent, other = submit("urgent", "one", priority=10)
    winner = runs(corliss, urgent)
    assert winner["priority"] == 10 and winner["queue"] == "one"
    again = waits(corliss, low)
    assert again["attempt"] == 2
    (stopped,) = [job for job in jobs_of(corliss, low) if job["id"] == victim["id"]]
    assert stopped["class"] == "preempted", stopped
    assert stopped["reason"] == f"it was stopped to make room for 'urgent/work' ({winner['id']})", stopped
    other.touch()
    assert corliss.wait_run(urgent)["state"] == "succeeded"
    runs(corliss, low)
    until.touch()
    assert corliss.wait_run(low)["state"] == "succeeded"


def test_a_dry_run_says_what_would_start_and_whom_it_would_stop(corliss: Corliss, submit, project, tmp_path: Path) -> None:
    apply(corliss, tmp_path, {"queues": {"one": {**ONE, "preempt": ["lower"]}}})

    def foresee(name: str, **settings: object) -> dict:
        lines = "\n    ".join(f"{key}: {json.dumps(value)}" for key, value in settings.items())
        text = PROJECT.replace("QUEUED", name).replace("QUEUE", "one").replace("SETTINGS", lines)
        after = "  after:\n    run: python work.py\n    needs: [work]\n"
        file = project(text + after, work__py=WORK)
        told = json.loads(corliss.cli("run", str(file), "--dry-run", "--json"))
        assert told["steps"][1] == {"step": "after", "after": ["work"]}, told
        shown = corliss.cli("run", str(file), "--dry-run")
        assert "Nothing was submitted." in shown and "It comes after work." in shown, shown
        return {**told["steps"][0]["job"], "shown": shown}

    assert foresee("free")["starts_now"] is True
    low, until = submit("low", "one", preemptible=True, timeout="1h")
    held = runs(corliss, low)
    would = foresee("equal")
    assert not would["starts_now"] and would["stops"] == [] and would["position"] == 1, would
    assert "quota of 1 CPU" in would["summary"] and would["starts_ms"] > held["started_ms"] + 3_000_000, would
    would = foresee("urgent", priority=10)
    assert [stopped["job_id"] for stopped in would["stops"]] == [held["id"]], would
    assert f"It would stop 'low/work' ({held['id']})." in would["shown"], would
    # Nothing came of it.
    assert [job["state"] for job in corliss.api("/jobs")["items"]] == ["running"]
    with pytest.raises(CorlissError) as refused:
        foresee("huge", workers=64)
    assert "resources" in str(refused.value), refused.value
    until.touch()
    corliss.wait_run(low)


# Holds the only place that there is, and tells if somebody else does.
TURN = """
import fcntl, os, pathlib, time
place = open(os.environ["PLACE"], "a")
try:
    fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    pathlib.Path(os.environ["PLACE"] + ".twice").touch()
time.sleep(0.4)
"""


def test_a_server_killed_between_decisions_gives_no_place_twice(corliss: Corliss, project, tmp_path: Path) -> None:
    seed = int(os.environ.get("CORLISS_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"replay with CORLISS_TEST_SEED={seed}")
    moments = random.Random(seed)
    apply(corliss, tmp_path, {"queues": {"one": {**ONE, "preempt": ["lower"]}}})
    place = tmp_path / "place"
    submitted = []
    for number in range(8):
        told = {"env": {"PLACE": str(place)}, "priority": moments.randrange(3), "preemptible": True,
                "retries": {"infrastructure": 0, "user": 0}}
        lines = "\n    ".join(f"{key}: {json.dumps(value)}" for key, value in told.items())
        text = PROJECT.replace("QUEUED", f"turn{number}").replace("QUEUE", "one").replace("SETTINGS", lines)
        submitted.append(corliss.submit(project(text, work__py=TURN)))
        time.sleep(moments.uniform(0.0, 0.4))
        corliss.kill_server()
        corliss.up()
    for run in submitted:
        detail = corliss.wait_run(run)
        assert detail["state"] == "succeeded", detail
    assert place.exists() and not (tmp_path / "place.twice").exists(), "two held the place of one"
    assert corliss.api("/queue")["items"] == corliss.api("/queue")["running"] == []


def test_what_is_wrong_with_queues_is_told(corliss: Corliss, submit, tmp_path: Path) -> None:
    for settings, said in (
        ({"queues": {"a": {"parent": "b"}}}, "there is no queue 'b'"),
        ({"queues": {"a": {"order": "lifo"}}}, "'lifo' is none of fifo, sjf, srtf, srsf, las"),
        ({"queue": {}}, "queue"),
        ({"queues": {"a": {"quota": {"gpus": 1}}}}, "gpus"),
    ):
        with pytest.raises(CorlissError) as refused:
            apply(corliss, tmp_path, settings)
        assert said in str(refused.value), refused.value
    with pytest.raises(CorlissError) as refused:
        submit("lost", "nowhere")
    assert "there is no queue 'nowhere'" in str(refused.value), refused.value
    apply(corliss, tmp_path, {"queues": {"busy": {}}})
    run, until = submit("stays", "busy")
    runs(corliss, run)
    with pytest.raises(CorlissError) as refused:
        apply(corliss, tmp_path, {"queues": {}})
    assert "queue 'busy' cannot go: 1 of its jobs" in str(refused.value), refused.value
    until.touch()
    corliss.wait_run(run)


def test_queues_are_for_admins_to_set(corliss: Corliss) -> None:
    made = corliss.cli("admin", "token", "create", "ana", "--role", "ml-engineer", "--json")
    token = json.loads(made)["token"]
    status, _ = corliss.request("PUT", "/api/v1/queues", {"queues": {}}, token=token)
    assert status == 403
    status, _ = corliss.request("GET", "/api/v1/queues", token=token)
    assert status == 200


def usage(corliss: Corliss, *flags: str) -> dict:
    return json.loads(corliss.cli("jobs", "usage", "--json", *flags))


def test_who_held_what_is_told_and_what_was_lost(corliss: Corliss, submit, project) -> None:
    assert usage(corliss)["items"] == []
    assert "No job waited or ran in this time" in corliss.cli("jobs", "usage")
    run, until = submit("counted", "default")
    job = runs(corliss, run)
    until.touch()
    assert corliss.wait_run(run)["state"] == "succeeded"
    broken = PROJECT.replace("QUEUED", "broken").replace("QUEUE", "default").replace("SETTINGS", "retries: {user: 0}")
    failing = corliss.submit(project(broken, work__py="import time\ntime.sleep(0.3)\nraise SystemExit(3)\n"))
    assert corliss.wait_run(failing)["state"] == "failed"

    told = usage(corliss, "--by", "project,user,queue")
    of = {item["project"]: item for item in told["items"]}
    assert set(of) == {"counted", "broken"}
    job = corliss.api(f"/jobs/{job['id']}")
    for item in of.values():
        assert item["jobs"] == 1 and item["queue"] == "default" and item["user"], item
        assert item["used_cpu_hours"] > 0, item
    ran = (job["ended_ms"] - job["started_ms"]) / 3_600_000
    # It holds its CPU from its admission on, which is before its process is there.
    assert ran <= of["counted"]["allocated"]["cpu"] < ran + 30 / 3600, (ran, of)
    assert of["counted"]["failed"]["cpu"] == of["counted"]["preempted"]["cpu"] == 0
    assert of["broken"]["failed"] == of["broken"]["allocated"]
    assert told["total"]["jobs"] == 2
    assert told["total"]["allocated"]["cpu"] == pytest.approx(sum(item["allocated"]["cpu"] for item in of.values()))

    daily = corliss.cli("jobs", "usage", "--by", "project", "--per", "day", "--days", "2", "--csv")
    rows = list(csv.DictReader(daily.splitlines()))
    assert {row["project"] for row in rows} == {"counted", "broken"}
    cpu = sum(float(row["cpu_hours"]) for row in rows)
    assert cpu == pytest.approx(told["total"]["allocated"]["cpu"])
    table = corliss.cli("jobs", "usage", "--by", "project")
    assert "broken" in table and "100 %" in table and "In all 2 jobs" in table, table


def test_what_ran_is_played_again_in_other_queues_and_on_other_machines(corliss: Corliss, project, tmp_path: Path) -> None:
    with pytest.raises(CorlissError) as refused:
        corliss.cli("simulate", "--from-history")
    assert "no job ran here in the last 30 days" in str(refused.value), refused.value
    # Two at once would take half as long as one after the other, and both hold all of the machine.
    steps = "".join(f"  {name}:\n    run: sleep 1\n    cache: false\n    resources: {{cpus: CPUS}}\n" for name in ("a", "b"))
    cpus = json.loads(corliss.cli("queue", "--json"))["inventory"]["total"]["cpu_milli"] / 1000
    run = corliss.submit(project(f"project: twice\nsteps:\n{steps}".replace("CPUS", f"{cpus:g}")))
    assert corliss.wait_run(run)["state"] == "succeeded"

    def play(*flags: str) -> dict:
        return json.loads(corliss.cli("simulate", "--from-history", "--json", *flags))

    here = play()
    assert here["trace"]["jobs"] == here["jobs"] == 2 and here["policy"] == "as_set", here
    assert here["waiting_s"]["max"] >= 1 and here["recorded"]["waiting_s"]["max"] >= here["waiting_s"]["max"], here
    assert here["makespan_s"] <= here["recorded"]["makespan_s"], here
    assert play("--cluster", "2x0")["waiting_s"]["max"] == 0
    assert [result["policy"] for result in play("--policy", "srtf", "--policy", "fair")["results"]] == ["as_set", "srtf", "fair"]
    file = tmp_path / "other.json"
    file.write_text(json.dumps({"queues": {"default": {"quota": {"cpu_milli": 1}, "borrow": {"cpu_milli": 0}}}}))
    other = play("--queues", str(file))
    assert (other["jobs"], other["refused"]) == (0, 2), other
    shown = corliss.cli("simulate", "--from-history", "--cluster", "2x0")
    assert "(as it was)" in shown and "2 jobs of the last 30 days, on 2 machines of" in shown, shown
    for flags, said in (
        (("--cluster", "0x8"), "is not 1 to 10000 machines"),
        (("--queues", str(tmp_path / "none.json")), "cannot read"),
        (("--policy", "lifo"), "'lifo' is none of"),
        (("--trace", "jobs:x.csv"), "cannot be used with"),
    ):
        with pytest.raises(CorlissError) as refused:
            corliss.cli("simulate", "--from-history", *flags)
        assert said in str(refused.value), refused.value
    with pytest.raises(CorlissError) as refused:
        corliss.cli("simulate")
    assert "--trace" in str(refused.value), refused.value


def test_what_is_wrong_with_a_question_about_usage_is_told(corliss: Corliss) -> None:
    for flags, said in (
        (("--by", "team"), "[possible values: user, project, queue]"),
        (("--from", "2026-02-30"), "write a day as in 2026-11-22"),
        (("--to", "2026-02-03"), "--from"),
        (("--from", "2020-01-01", "--per", "hour"), "more than 1000 of those"),
        (("--from", "2026-02-03", "--to", "2026-02-01"), "it begins no sooner than it ends"),
    ):
        with pytest.raises(CorlissError) as refused:
            corliss.cli("jobs", "usage", *flags)
        assert said in str(refused.value), refused.value
    for query, field in (("by=team", "by"), ("per=year", "per"), ("from_ms=-5", "from_ms"), ("to_ms=99999999999999999", "to_ms")):
        status, answer = corliss.request("GET", f"/api/v1/usage?{query}")
        assert status == 400 and answer["error"]["field"] == field, answer
