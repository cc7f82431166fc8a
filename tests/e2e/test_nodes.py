"""One machine as many nodes through the CLI: split, shown, kept to by gangs, drained and emptied."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from support.server import Corliss, CorlissError, poll

PROJECT = """
project: PROJECT
steps:
  work:
    run: work.py
    launcher: torchrun
    workers: 2
    preemptible: true
    resources: {cpus: 1, accelerators: 1}
    topology: TOPOLOGY
    checkpoint: {every: 5s}
    cache: false
"""
# Says where it is, saves what it is told to end by, and goes on from there until there is a file.
WORK = """
import os, pathlib, signal, sys, time
rank, saved = os.environ["RANK"], os.environ.get("CORLISS_RESUME_FROM")
names = ("CORLISS_NODE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "CUDA_VISIBLE_DEVICES")
print("at", *(os.environ[name] for name in names), "saved" if saved else "fresh", flush=True)
def save(*_):
    if rank == "0":
        folder = pathlib.Path(os.environ["CORLISS_CHECKPOINT_DIR"])
        (folder / "s.tmp").mkdir()
        (folder / "s.tmp" / "state").write_text("1")
        (folder / "s.tmp").rename(folder / "s")
    sys.exit(1)
signal.signal(signal.SIGTERM, save)
while not pathlib.Path("UNTIL").exists():
    time.sleep(0.05)
"""


def nodes(corliss: Corliss) -> list[dict]:
    return json.loads(corliss.cli("admin", "nodes", "show", "--json"))["nodes"]


def submitted(corliss: Corliss, *arguments: str) -> str:
    return json.loads(corliss.cli("run", *arguments, "--detach", "--json"))["id"]


def running(corliss: Corliss, run: str, after: str = "") -> dict:
    def found() -> dict | None:
        jobs = corliss.api(f"/jobs?run_id={run}")["items"]
        return next((job for job in jobs if job["state"] == "running" and job["id"] != after), None)

    return poll(f"a job of {run} to run", found, 60)


def nodes_of(job: dict) -> list[str]:
    return sorted(task["node"] for task in job["tasks"])


def said(corliss: Corliss, job: dict, rank: int) -> list[str]:
    def line() -> str | None:
        lines = corliss.api(f"/jobs/{job['id']}/logs?rank={rank}")["lines"]
        return next((line["text"] for line in lines if line["text"].startswith("at ")), None)

    return poll("a worker to say where it is", line, 30).split()[1:]


def test_gangs_keep_to_a_rack_and_leave_a_node_that_is_emptied(four: Corliss, project, tmp_path: Path) -> None:
    corliss, until = four, tmp_path / "until"
    shown = corliss.cli("admin", "nodes", "show")
    assert "local" in shown and "4 × " in shown, shown
    told = corliss.cli("admin", "nodes", "split", "4", "--racks", "2", "--dry-run")
    assert "No job would start, stop or fail by it at once." in told and "local" in corliss.cli("admin", "nodes", "show"), told
    assert "The nodes are changed." in corliss.cli("admin", "nodes", "split", "4", "--racks", "2")

    work = WORK.replace("UNTIL", str(until))
    within = project(PROJECT.replace("PROJECT", "within").replace("TOPOLOGY", "{within: rack}"), work__py=work)
    first = running(corliss, run := corliss.submit(within))
    mine = nodes_of(first)
    assert mine in (["n1", "n3"], ["n2", "n4"]), "racks are dealt out by turns"
    # Each worker is alone on its node, as torchrun would have it there.
    for rank in (0, 1):
        node, local, of, group, devices, fresh = said(corliss, first, rank)
        assert (local, of, group, fresh) == ("0", "1", str(rank), "fresh"), (node, local, of, group)
        assert devices == str(int(node[1]) - 1), "a node has the accelerator that was shared out to it"
    busy = {node["name"]: (node["free"]["accelerators"], [job["name"] for job in node["jobs"]]) for node in nodes(corliss)}
    assert all(busy[name] == (0, ["within/work"]) for name in mine), busy
    assert all(busy[name] == (1, []) for name in busy if name not in mine), busy

    # What a job stands on does not go; who empties a node has it start elsewhere, from what it saved.
    with pytest.raises(CorlissError) as refused:
        corliss.cli("admin", "nodes", "split", "2")
    assert "n" in str(refused.value) and "cannot go: 'within/work'" in str(refused.value), refused.value
    told = corliss.cli("admin", "nodes", "drain", mine[0], "--evict")
    assert f"Node '{mine[0]}' takes no new work." in told and "is being stopped, and starts elsewhere." in told, told
    second = running(corliss, run, after=first["id"])
    assert not set(nodes_of(second)) & set(mine), (mine, nodes_of(second))
    assert said(corliss, second, 0)[-1] == "saved"
    assert corliss.api(f"/jobs/{first['id']}")["reason"] == f"it was stopped because node '{mine[0]}' was drained"

    # Half a rack is left: one that keeps to a rack waits, and says what for; one that spreads does not.
    third = corliss.submit(project(PROJECT.replace("PROJECT", "waits").replace("TOPOLOGY", "{within: rack}"), work__py=work))
    job = poll("the job", lambda: next(iter(corliss.api(f"/jobs?run_id={third}")["items"]), None), 60)
    why = corliss.api(f"/jobs/{job['id']}/why")
    assert f"with {mine[0]} drained" in why["summary"], why
    assert "drained" in corliss.cli("admin", "nodes", "show")
    corliss.cli("admin", "nodes", "undrain", mine[0])
    assert nodes_of(running(corliss, third)) == mine
    until.touch()
    for name in (run, third):
        poll("the run to end", lambda name=name: corliss.api(f"/runs/{name}")["state"] == "succeeded", 60)
    assert "The nodes are changed." in corliss.cli("admin", "nodes", "split", "1")


def test_nodes_outlive_a_kill_of_the_server(four: Corliss, project, tmp_path: Path) -> None:
    corliss, until = four, tmp_path / "until"
    corliss.cli("admin", "nodes", "split", "2")
    work = WORK.replace("UNTIL", str(until))
    run = corliss.submit(project(PROJECT.replace("PROJECT", "kept").replace("TOPOLOGY", "spread"), work__py=work))
    job = running(corliss, run)
    assert nodes_of(job) == ["n1", "n2"]
    corliss.kill_server()
    corliss.up()
    assert nodes_of(corliss.api(f"/jobs/{job['id']}")) == ["n1", "n2"]
    assert [[one["name"] for one in node["jobs"]] for node in nodes(corliss)] == [["kept/work"]] * 2
    until.touch()
    poll("the run to end", lambda: corliss.api(f"/runs/{run}")["state"] == "succeeded", 60)


def test_what_is_wrong_with_nodes_and_what_asks_for_them_is_told(four: Corliss, project, tmp_path: Path) -> None:
    corliss = four
    node = {"cpu_milli": 1000, "memory_bytes": 1 << 30}
    for settings, field, says in (
        ({"nodes": {"a": {**node, "cpu_milli": 5000}}}, "nodes", "the machine has 4 CPUs"),
        ({"nodes": {"a": {**node, "accelerators": [9]}}}, "nodes.a.accelerators", "the machine's are 0, 1, 2 and 3"),
        ({"nodes": {"a": {**node, "cpu_milli": -1}}}, None, "nodes.a.cpu_milli"),
        ({"nodes": {"a; rm -rf /": node}}, "nodes.a; rm -rf /", "is no name"),
        ({"nodes": {"a": node}, "drained": ["b"]}, "drained", "there is no node 'b'"),
        ({"node": {}}, None, "node"),
    ):
        status, answer = corliss.request("PUT", "/api/v1/nodes", settings)
        assert status == 400 and says in json.dumps(answer, ensure_ascii=False), answer
        assert field is None or answer["error"]["field"] == field, answer
    status, answer = corliss.request("POST", "/api/v1/nodes/nowhere/drain", {})
    assert status == 404 and answer["error"]["code"] == "node_not_found", answer
    status, answer = corliss.request("GET", "/api/v1/nodes", token="wrong")
    assert status == 401, answer
    for flags, says in ((("split", "0"), "0 is not in 1..=1000"), (("drain", "nowhere"), "there is no node 'nowhere'")):
        with pytest.raises(CorlissError) as refused:
            corliss.cli("admin", "nodes", *flags)
        assert says in str(refused.value), refused.value

    text = "project: p\nsteps:\n  a: {run: x, resources: {accelerators: 0.5, accelerator_model: H100}, topology: {within: rack}}\n"
    with pytest.raises(CorlissError) as refused:
        corliss.cli("run", str(project(text)), "--dry-run")
    assert "has no accelerator 'H100'" in str(refused.value) and "nodes stand in no rack" in str(refused.value), refused.value


def test_a_run_begins_when_it_is_told_to(corliss: Corliss, project) -> None:
    file = project(f"project: later\nsteps:\n  a: {{run: '{sys.executable} -c pass', cache: false}}\n")
    told = corliss.cli("run", str(file), "--dry-run", "--begin", "2h")
    assert "It is not to start before 20" in told, told
    run = submitted(corliss, str(file), "--begin", "1h")
    job = poll("the job", lambda: next(iter(corliss.api(f"/jobs?run_id={run}")["items"]), None), 60)
    assert "It is not to start before 20" in corliss.cli("why", job["id"]), job
    corliss.cli("runs", "cancel", run)
    before_ms = time.time() * 1_000
    run = submitted(corliss, str(file), "--begin", "1s")
    poll("the run to end", lambda: corliss.api(f"/runs/{run}")["state"] == "succeeded", 60)
    job = corliss.api(f"/jobs?run_id={run}")["items"][0]
    assert job["admitted_ms"] >= before_ms + 999, job
    for begin in ("yesterday", "2026-02-30", "500d"):
        with pytest.raises(CorlissError) as refused:
            corliss.cli("run", str(file), "--begin", begin)
        assert "write a time from now, such as 2h" in str(refused.value), refused.value
