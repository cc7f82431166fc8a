"""Limits of callers over the real server: many at once, another's token, a server that is killed."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support import processes
from support.server import Corliss, poll
from support.times import MAKE, PROJECT

BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Corliss:
    folder = tmp_path_factory.mktemp("limits")
    corliss = Corliss(folder / "home")
    (folder / "corliss.yaml").write_text(PROJECT)
    (folder / "make.py").write_text(MAKE.replace("FACTOR", "2.0"))
    try:
        corliss.up()
        assert corliss.wait_run(corliss.submit(folder / "corliss.yaml"))["state"] == "succeeded"
        corliss.wait_endpoint("times")
        yield corliss
        corliss.down()
        assert not processes.wait_until_none(corliss.home)
    finally:
        corliss.kill_everything()


def token(corliss: Corliss, name: str) -> str:
    return json.loads(corliss.cli("admin", "token", "create", name, "--role", "data-scientist", "--json"))["token"]


def ask(corliss: Corliss, key: str) -> int:
    return corliss.request("POST", "/v2/models/times/infer", BODY, token=key)[0]


def used(corliss: Corliss, name: str) -> dict:
    return corliss.api(f"/limits/{name}")


def test_many_at_once_spend_together_what_one_may(endpoint: Corliss) -> None:
    ana, bob = token(endpoint, "ana"), token(endpoint, "bob")
    endpoint.cli("endpoints", "routing", "times", "--price-request", "0.01")
    shown = endpoint.cli("admin", "limits", "set", "ana", "--budget", "0.30", "--per", "ever")
    assert "0.00 of 0.30" in shown
    poll("the price is taken over", lambda: ask(endpoint, ana) == 200 and settled(endpoint)["spent_micros"] > 0)
    before = used(endpoint, "ana")["spent_micros"] // 10_000
    with ThreadPoolExecutor(50) as clients:
        answers = list(clients.map(lambda _: ask(endpoint, ana), range(200)))
    assert answers.count(200) == 30 - before and answers.count(429) == 170 + before
    assert settled(endpoint)["spent_micros"] == 300_000
    status, answer = endpoint.request("POST", "/v2/models/times/infer", BODY, token=ana)
    assert status == 429 and "'ana' may spend 0.30; 0.00 is left, and the request may cost 0.01" in str(answer), answer
    assert ask(endpoint, bob) == 200
    # Everybody may see their own limits and nobody else's, and only administrators may change them.
    status, own = endpoint.request("GET", "/api/v1/own-limits", token=ana)
    assert (status, own["name"], own["spent_micros"]) == (200, "ana", 300_000)
    assert endpoint.request("GET", "/api/v1/own-limits", token=bob)[0] == 404
    assert endpoint.request("GET", "/api/v1/limits/ana", token=bob)[0] == 403
    assert endpoint.request("PUT", "/api/v1/limits/ana", {}, token=ana)[0] == 403
    assert endpoint.request("GET", "/api/v1/limits", token=ana)[0] == 403
    assert "0.30 of 0.30" in endpoint.cli("admin", "limits", "list")


def test_limits_that_name_none_are_refused(endpoint: Corliss) -> None:
    for name in ("nina", "*"):
        status, answer = endpoint.request("PUT", f"/api/v1/limits/{name}", {})
        assert (status, answer["error"]["code"]) == (400, "limits_empty"), answer
        assert "concurrent_max" in answer["error"]["message"], answer
        assert endpoint.request("GET", f"/api/v1/limits/{name}")[0] == 404


def settled(corliss: Corliss) -> dict:
    return poll("all is written down", lambda: (now := used(corliss, "ana"))["reserved_micros"] == 0 and now)


def test_a_killed_server_gives_nothing_away(endpoint: Corliss) -> None:
    """What was answered is paid for, however the server ended; what was on its way is taken for used."""
    key = token(endpoint, "eve")
    endpoint.cli("endpoints", "routing", "times", "--price-request", "0.01")
    endpoint.cli("admin", "limits", "set", "eve", "--budget", "100", "--per", "ever")
    poll("the price is taken over", lambda: ask(endpoint, key) == 200 and used(endpoint, "eve")["spent_micros"] > 0)
    answered = 0
    for _ in range(3):
        before = used(endpoint, "eve")
        with ThreadPoolExecutor(8) as clients:
            asking = [clients.submit(quietly, endpoint, key) for _ in range(400)]
            poll("some are answered", lambda: sum(one.done() for one in asking) > 40)
            endpoint.kill_server()
            answered = sum(one.result() == 200 for one in asking)
        endpoint.up()
        after = used(endpoint, "eve")
        spent = (after["spent_micros"] - before["spent_micros"]) // 10_000
        assert after["reserved_micros"] == 0
        assert answered <= spent <= answered + 8 + before["reserved_micros"] // 10_000, (answered, before, after)
        endpoint.wait_endpoint("times")
        poll("it answers", lambda: quietly(endpoint, key) == 200)


def quietly(corliss: Corliss, key: str) -> int:
    try:
        return ask(corliss, key)
    except OSError:
        return 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "required"),
        (["--budget", "ten"], "not an amount"),
        (["--budget", "1", "--per", "week"], "invalid value 'week'"),
        (["--requests-per-minute", "0"], "'0' for '--requests-per-minute"),
        (["--at-once", "0"], "'0' for '--at-once"),
    ],
)
def test_what_is_wrong_is_named(endpoint: Corliss, options: list[str], said: str) -> None:
    done = endpoint.run_cli("admin", "limits", "set", "zoe", *options)
    assert done.returncode == 2 and said in done.stderr, done
    assert endpoint.run_cli("admin", "limits", "show", "zoe").returncode == 5


def test_everybody_without_limits_has_those_of_all(endpoint: Corliss, tmp_path: Path) -> None:
    dan, kim = token(endpoint, "dan"), token(endpoint, "kim")
    endpoint.cli("admin", "limits", "set", "*", "--requests-per-minute", "5")
    try:
        for key in (dan, kim):
            answers = [ask(endpoint, key) for _ in range(8)]
            assert answers[:5] == [200] * 5 and 429 in answers[5:]
        endpoint.cli("admin", "limits", "set", "kim", "--requests-per-minute", "1000")
        assert ask(endpoint, kim) == 200
    finally:
        endpoint.cli("admin", "limits", "remove", "*")
    assert ask(endpoint, dan) == 200
