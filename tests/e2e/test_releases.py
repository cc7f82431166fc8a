"""Releases: a version goes out by steps under traffic, and comes back by itself where it is worse; through a kill of the
server; to a share of the sessions; by copies that nobody notices; all at once, and back."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from support.server import Corliss, poll
from support.times import MAKE

# Four versions, made one after another so that their numbers are those of the steps.
VERSIONS = {
    1: MAKE.replace("FACTOR", "2.0"),
    2: MAKE.replace("FACTOR", "3.0"),
    # Takes another input: every request of today's clients is wrong.
    3: MAKE.replace("FACTOR", "4.0").replace('"x"', '"z"'),
    # Nobody has this operator.
    4: MAKE.replace("FACTOR", "5.0").replace('"Mul"', '"NoSuchOperator"'),
}

PROJECT = """
project: factors
steps:
  make: {run: python make.py, outputs: [model]}
models:
  factors: {from: make.model, alias: newest}
"""

FACTOR = {1: 2.0, 2: 3.0}


@pytest.fixture(scope="module")
def models(shared: Corliss, tmp_path_factory: pytest.TempPathFactory) -> Corliss:
    for number, make in VERSIONS.items():
        folder = tmp_path_factory.mktemp(f"factors-{number}")
        (folder / "corliss.yaml").write_text(PROJECT)
        (folder / "make.py").write_text(make)
        assert shared.wait_run(shared.submit(folder / "corliss.yaml"))["state"] == "succeeded"
    return shared


@pytest.fixture
def endpoint(models: Corliss, request: pytest.FixtureRequest) -> Iterator[str]:
    """Two replicas of version 1, under a name of the test's own."""
    name = "e" + str(abs(hash(request.node.name)) % 10_000_000)
    models.cli("endpoints", "deploy", name, "--model", "factors/1", "--replicas", "2", timeout_s=120)
    yield name
    models.cli("endpoints", "delete", name, "--yes")
    poll("it is gone", lambda: models.request("GET", f"/api/v1/endpoints/{name}")[0] == 404)


def infer(corliss: Corliss, name: str, session: str | None = None) -> int | None:
    """The version that answered; none if it was no answer."""
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 1, 1, 1]}]}
    headers = {"x-session-id": session} if session else {}
    status, answer = corliss.request("POST", f"/v2/models/{name}/infer", body, headers=headers)
    if status != 200:
        return None
    return next(version for version, factor in FACTOR.items() if answer["outputs"][0]["data"] == [factor] * 4)


class Traffic:
    """Clients that ask without a pause, each as a session of its own or as none, and count who answered."""

    def __init__(self, corliss: Corliss, name: str) -> None:
        self.corliss, self.name = corliss, name
        self.answers: Counter[int | None] = Counter()
        self.lost = 0
        self.stopped = False

    def _ask(self) -> None:
        while not self.stopped:
            try:
                self.answers[infer(self.corliss, self.name)] += 1
            except (OSError, HTTPException):
                # The server is away.
                self.lost += 1
                time.sleep(0.05)
            time.sleep(0.002)


@contextmanager
def traffic(corliss: Corliss, name: str, clients: int = 4) -> Iterator[Traffic]:
    asked = Traffic(corliss, name)
    threads = [threading.Thread(target=asked._ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield asked
    finally:
        asked.stopped = True
        for thread in threads:
            thread.join()


def release(corliss: Corliss, name: str, version: int, *options: str) -> dict[str, Any]:
    said = corliss.cli("endpoints", "deploy", name, "--model", f"factors/{version}", "--replicas", "2", "--detach", "--json", *options)
    return json.loads(said)["release"]


def newest(corliss: Corliss, name: str) -> dict[str, Any]:
    return json.loads(corliss.cli("endpoints", "releases", name, "newest", "--json"))


def until(corliss: Corliss, name: str, wanted: Any, timeout_s: float = 60) -> dict[str, Any]:
    def there() -> dict[str, Any] | None:
        one = corliss.api(f"/endpoints/{name}/releases")["items"][0]
        return one if wanted(one) else None

    return poll(f"the release of {name}", there, timeout_s=timeout_s)


def ended(one: dict[str, Any]) -> bool:
    return one["state"] not in ("running", "paused")


def begun(one: dict[str, Any]) -> bool:
    return one["begun_ms"] is not None


CANARY = ("--release", "canary", "--step-time", "1s", "--min-requests", "20")


def test_a_canary_goes_through_without_one_failed_request(models: Corliss, endpoint: str) -> None:
    with traffic(models, endpoint) as asked:
        poll("requests come", lambda: asked.answers[1] > 20)
        options = ["--model", "factors/2", "--replicas", "2", *CANARY, "--steps", "20,60"]
        done = models.run_cli("endpoints", "deploy", endpoint, *options, timeout_s=120)
        assert done.returncode == 0, done
        poll("all of it is taken over", lambda: models.api(f"/endpoints/{endpoint}")["state"] == "ready")
        before = Counter(asked.answers)
        poll("requests come", lambda: asked.answers[2] > before[2] + 20)
        assert asked.answers[1] - before[1] <= 4, "what the old one was working on"
    assert asked.answers[None] == 0 and asked.lost == 0, asked.answers
    # A step after the other was told while it was followed.
    told = done.stderr
    assert "step 1 of 2: 20 % of the requests" in told and "step 2 of 2: 60 % of the requests" in told, told
    assert "version 1 to 2, completed" in done.stdout, done.stdout
    one = newest(models, endpoint)
    assert (one["state"], one["started_by"]) == ("completed", "local-admin"), one
    for step, percent in zip(one["steps"], (20, 60), strict=True):
        assert step["percent"] == percent and step["new"]["requests"] >= 20 and step["new"]["errors"] == 0, step
        assert step["new"]["p99_us"] > 0 and step["ended_ms"] - step["begun_ms"] >= 1000, step
    first, second = one["steps"]
    assert first["new"]["requests"] / (first["new"]["requests"] + first["old"]["requests"]) < 0.4, one["steps"]
    shown = models.api(f"/endpoints/{endpoint}")
    assert (shown["model"], shown["desired_version"], shown["serving_version"]) == ("factors/2", 2, 2)
    assert "completed" in models.cli("endpoints", "releases", endpoint)


def test_what_answers_with_errors_is_rolled_back(models: Corliss, endpoint: str) -> None:
    with traffic(models, endpoint) as asked:
        poll("requests come", lambda: asked.answers[1] > 100)
        options = ["--model", "factors/3", "--replicas", "2", "--release", "canary", "--steps", "10,50", "--step-time", "10m"]
        done = models.run_cli("endpoints", "deploy", endpoint, *options, timeout_s=120)
        poll("requests come", lambda: asked.answers[1] > 100)
    assert done.returncode == 1, done
    assert "was rolled back" in done.stderr and "requests got no answer, where 1 % are allowed" in done.stderr, done.stderr
    assert asked.answers[None] == 0 and asked.lost == 0, "the old one answers what the new one does not"
    # Long before the step's end, after a few.
    one = newest(models, endpoint)
    assert one["state"] == "rolled_back" and 10 <= one["steps"][0]["new"]["errors"] <= 120, one
    shown = models.api(f"/endpoints/{endpoint}")
    assert (shown["state"], shown["desired_version"], shown["replicas_ready"]) == ("ready", 1, 2), shown
    assert "version 3 was taken back" in shown["reason"], shown
    assert infer(models, endpoint) == 1


def test_what_cannot_be_loaded_is_rolled_back_in_the_engines_words(models: Corliss, endpoint: str) -> None:
    before = [one["id"] for one in models.api(f"/endpoints/{endpoint}")["replicas"]]
    with traffic(models, endpoint) as asked:
        done = models.run_cli("endpoints", "deploy", endpoint, "--model", "factors/4", "--replicas", "2", *CANARY, timeout_s=120)
    assert done.returncode == 1 and "starts of version 4 failed in a row" in done.stderr, done
    assert "NoSuchOperator" in done.stderr, done.stderr
    assert asked.answers[None] == 0 and asked.answers[2] == 0, asked.answers
    shown = models.api(f"/endpoints/{endpoint}")
    alive = [one["id"] for one in shown["replicas"] if one["state"] == "ready"]
    assert (shown["state"], sorted(alive)) == ("ready", sorted(before)), "the old one was touched"


def test_a_kill_in_the_middle_of_a_canary_skips_nothing(models: Corliss, endpoint: str) -> None:
    with traffic(models, endpoint) as asked:
        release(models, endpoint, 2, "--release", "canary", "--step-time", "1s", "--steps", "20,60", "--min-requests", "60")
        before = until(models, endpoint, lambda one: one["step"] == 1 and begun(one))
        models.kill_server()
        models.up()
        away = asked.answers[None]
        after = models.api(f"/endpoints/{endpoint}/releases")["items"][0]
        assert (after["id"], after["step"]) == (before["id"], 1), after
        assert after["begun_ms"] == before["begun_ms"] or after["state"] == "completed"
        done = until(models, endpoint, ended)
        assert done["state"] == "completed" and [step["step"] for step in done["steps"]] == [0, 1], done
        # What was counted before the kill is gone: the step has all its requests from after it.
        assert done["steps"][1]["new"]["requests"] >= 60, done
        poll("requests come", lambda: asked.answers[2] > 20)
    assert asked.answers[None] <= away + 4, "but for what was under way when the server came up"


def test_a_release_that_is_not_waited_for_says_how_to_follow_it(models: Corliss, endpoint: str) -> None:
    shown = models.cli("endpoints", "deploy", endpoint, "--model", "factors/2", "--release", "canary", "--detach")
    begun_now = newest(models, endpoint)
    assert f"Release {begun_now['id']} goes on, version 1 to 2" in shown, shown
    assert f"endpoints releases {endpoint} --follow" in shown, shown
    models.cli("endpoints", "rollback", endpoint)


def test_sessions_stay_with_their_version(models: Corliss, endpoint: str) -> None:
    release(models, endpoint, 2, "--release", "ab", "--percent", "30")
    until(models, endpoint, begun)
    poll("the share is in force", lambda: any(infer(models, endpoint, f"probe{n}") == 2 for n in range(40)))
    homes = {f"session-{n}": infer(models, endpoint, f"session-{n}") for n in range(200)}
    for _ in range(2):
        assert all(infer(models, endpoint, session) == version for session, version in homes.items())
    # 30 % of 200, within four standard deviations.
    taken = sum(version == 2 for version in homes.values())
    assert 34 <= taken <= 86, taken
    # Without a session it is the caller who stays.
    assert len({infer(models, endpoint) for _ in range(20)}) == 1
    one = newest(models, endpoint)
    assert one["next"] == {"waits_for": "decision"} and one["versions"][1]["requests"] >= taken * 3, one
    assert models.run_cli("endpoints", "promote", endpoint).returncode == 0
    poll("all of it is taken over", lambda: models.api(f"/endpoints/{endpoint}")["serving_version"] == 2)


def test_a_shadow_gets_copies_and_nobody_notices(models: Corliss, endpoint: str) -> None:
    release(models, endpoint, 2, "--release", "shadow", "--percent", "100")
    until(models, endpoint, begun)

    def copied() -> bool:
        assert infer(models, endpoint) == 1, "a shadow's answer reached the caller"
        return newest(models, endpoint)["versions"][1]["requests"] > 0

    poll("copies are sent", copied)
    for _ in range(50):
        assert infer(models, endpoint) == 1

    def compared() -> bool:
        versions = newest(models, endpoint)["versions"]
        return versions[1]["different"] >= 50 and versions[1]["same"] == 0

    poll("answers are compared: it multiplies by another number", compared)
    records = models.api(f"/endpoints/{endpoint}/requests?limit=100")["items"]
    copies = [one for one in records if one.get("shadow")]
    assert copies and {one["version"] for one in copies} == {2} and {one["outcome"] for one in copies} == {"answered"}
    assert {one["version"] for one in records if not one.get("shadow")} == {1}
    # Counted apart: the endpoint has answered no more than it was asked.
    stats = models.api(f"/endpoints/{endpoint}/stats")
    versions = {one["version"]: one for one in stats["versions"]}
    assert stats["requests_total"] == versions[1]["requests"], stats
    assert "copy answered" in models.cli("endpoints", "requests", endpoint, "-n", "100")
    models.cli("endpoints", "rollback", endpoint)
    # One whose copies all fail is taken back, and nobody notices that either.
    release(models, endpoint, 3, "--release", "shadow", "--percent", "100")
    with traffic(models, endpoint) as asked:
        one = until(models, endpoint, ended)
    assert (one["state"], one["to_version"]) == ("rolled_back", 3) and asked.answers[None] == 0, one


def test_a_switch_and_back_at_once(models: Corliss, endpoint: str) -> None:
    with traffic(models, endpoint) as asked:
        release(models, endpoint, 2, "--release", "blue-green", "--keep", "10m")
        one = until(models, endpoint, begun)
        assert one["percent"] == 100
        shown = models.api(f"/endpoints/{endpoint}")
        ready = Counter(replica["version"] for replica in shown["replicas"] if replica["state"] == "ready")
        assert ready == {1: 2, 2: 2}, "as many of the new one, and the old ones stay"
        poll("it is switched", lambda: asked.answers[2] > 50)
        paused = json.loads(models.cli("endpoints", "pause", endpoint, "--json"))
        assert paused["state"] == "paused"
        assert json.loads(models.cli("endpoints", "resume", endpoint, "--json"))["state"] == "running"
        started = {replica["id"] for replica in shown["replicas"]}
        assert "rolled back by local-admin" in models.cli("endpoints", "rollback", endpoint)
        before = asked.answers[1]
        poll("it is switched back", lambda: asked.answers[1] > before + 50)
        now = models.api(f"/endpoints/{endpoint}")
        assert {replica["id"] for replica in now["replicas"]} == started, "nothing had to be started for that"
    assert asked.answers[None] == 0, asked.answers
    again = models.run_cli("endpoints", "promote", endpoint)
    assert again.returncode != 0 and "is rolled back and cannot be changed" in again.stderr, again
    again = models.run_cli("endpoints", "rollback", endpoint)
    assert again.returncode == 1 and "nothing to roll back" in again.stderr, again


def test_a_canary_that_nobody_asks_says_so(models: Corliss, endpoint: str) -> None:
    options = ["--release", "canary", "--steps", "50", "--step-time", "1s"]
    with subprocess.Popen(
        [str(models.binary), "endpoints", "deploy", endpoint, "--model", "factors/2", *options], env=models.environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as follower:
        told = next(line for line in follower.stderr if "has had no request" in line)
        assert f"endpoints promote {endpoint}" in told and "Ctrl-C" in told, told
        models.cli("endpoints", "promote", endpoint)
        shown, rest = follower.communicate(timeout=60)
    assert follower.returncode == 0 and "promoted by local-admin" in shown and "no request" not in rest, (shown, rest)
    again = models.run_cli("endpoints", "promote", endpoint)
    assert again.returncode == 1 and "nothing to promote" in again.stderr, again


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--release", "canary", "--steps", "50,5"], "each higher than the one before"),
        (["--release", "ab", "--keep", "5s"], "--keep belongs to blue-green, not to ab"),
        (["--release", "shadow", "--percent", "0"], "must lie between 1 and 100"),
        (["--steps", "5"], "--release"),
        (["--release", "canary", "--step-time", "5"], "not a time"),
    ],
)
def test_what_is_wrong_is_named(models: Corliss, endpoint: str, options: list[str], words: str) -> None:
    done = models.run_cli("endpoints", "deploy", endpoint, "--model", "factors/2", *options)
    assert done.returncode == 2 and words in done.stderr, done
    assert models.api(f"/endpoints/{endpoint}/releases")["items"] == []


def test_an_alias_is_followed_by_releases(models: Corliss, tmp_path: Path) -> None:
    models.api("/models/factors/aliases/live", method="PUT", body={"version": 1})
    options = ["--model", "factors@live", "--release", "canary", "--steps", "50", "--step-time", "1s", "--min-requests", "20"]
    models.cli("endpoints", "deploy", "followed", *options, timeout_s=120)
    assert models.api("/endpoints/followed/releases")["items"] == [], "the first version has none beside it"
    with traffic(models, "followed"):
        models.api("/models/factors/aliases/live", method="PUT", body={"version": 2})
        poll("a release begins", lambda: models.api("/endpoints/followed/releases")["items"])
        one = until(models, "followed", ended)
        assert (one["state"], one["started_by"], one["to_version"]) == ("completed", None, 2), one
        models.api("/models/factors/aliases/live", method="PUT", body={"version": 3})
        one = until(models, "followed", lambda one: one["to_version"] == 3 and ended(one))
        assert one["state"] == "rolled_back", one
        time.sleep(3)
        assert len(models.api("/endpoints/followed/releases")["items"]) == 2, "it is not tried again"
    shown = models.api("/endpoints/followed")
    assert (shown["serving_version"], shown["model"]) == (2, "factors@live"), shown
    models.cli("endpoints", "delete", "followed", "--yes")
