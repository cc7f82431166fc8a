"""How requests are routed: said by the command line, done by real replicas, told by the record of each request."""

from __future__ import annotations

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support import processes
from support.server import Corliss, poll
from support.times import PROJECT, serve

from test_oip import infer

ROUTED = PROJECT.replace("replicas: 1", "replicas: 2") + "  spare: {model: times@champion, replicas: 1}\n"


@pytest.fixture(scope="module")
def endpoint(shared: Corliss, tmp_path_factory: pytest.TempPathFactory) -> Corliss:
    serve(shared, tmp_path_factory.mktemp("routed"), ROUTED)
    shared.wait_endpoint("spare")
    return shared


@pytest.fixture(autouse=True)
def as_by_default(endpoint: Corliss):
    yield
    endpoint.cli("endpoints", "routing", "times", "--reset")


def routing(corliss: Corliss, *options: str) -> dict:
    return json.loads(corliss.cli("endpoints", "routing", "times", *options, "--json"))


def newest(corliss: Corliss, endpoint: str = "times", limit: int = 1) -> list[dict]:
    return corliss.api(f"/endpoints/{endpoint}/requests?limit={limit}")["items"]


def test_an_option_changes_its_own_setting_and_a_file_all(endpoint: Corliss, tmp_path: Path) -> None:
    before = endpoint.api("/endpoints/times")
    assert routing(endpoint) == before["routing"]
    assert before["routing"]["router"] == "least_connections"
    routing(endpoint, "--router", "least_response_time", "--attempts", "3")
    changed = routing(endpoint, "--hedge-after-ms", "500", "--fallback", "spare")
    assert (changed["router"], changed["retry"]) == ("least_response_time", {"attempts": 3, "budget_percent": 20})
    assert (changed["hedge_after_ms"], changed["fallback"]) == (500, ["spare"])
    shown = endpoint.cli("endpoints", "routing", "times")
    assert "least_response_time" in shown and "500 ms" in shown and "spare" in shown
    changed = routing(endpoint, "--hedge-after-ms", "none", "--fallback", "")
    assert "hedge_after_ms" not in changed and changed["fallback"] == []
    file = tmp_path / "routing.json"
    file.write_text(json.dumps(changed | {"rules": [{"to": {"version": 1}}]}))
    assert routing(endpoint, "--file", str(file))["rules"] == [{"when": [], "to": {"version": 1}}]
    assert routing(endpoint, "--reset") == before["routing"]
    # The replicas went on as they were.
    after = endpoint.api("/endpoints/times")
    assert [one["id"] for one in after["replicas"]] == [one["id"] for one in before["replicas"]]


@pytest.mark.parametrize(
    ("settings", "field", "words"),
    [
        ({"router": "fastest"}, "router", "fastest"),
        ({"retry": {"attempts": 0}}, "retry.attempts", "between 1 and 8"),
        ({"retry": {"atempts": 2}}, "retry.atempts", "atempts"),
        ({"hedge_after_ms": -1}, "hedge_after_ms", "-1"),
        ({"fallback": ["times"]}, "fallback[0]", "itself"),
        ({"fallback": ["spar"]}, "fallback[0]", "did you mean 'spare'?"),
        ({"rules": [{"when": [{"header": {"name": "a b", "is": "c"}}], "to": "all"}]}, "rules[0].when[0]", "a b"),
        ({"rules": [{"when": [], "to": {"pool": "times"}}]}, "rules[0].to.pool", "itself"),
        ({"rules": [{"when": [{"tenant": []}], "to": "all"}]}, "rules[0].when[0]", "names no caller"),
        ({"rules": [{"when": [{"prompt_tokens": {}}], "to": "all"}]}, "rules[0].when[0]", "has no bound"),
        ({"rules": [{"to": {"replicas": []}}]}, "rules[0].to.replicas", "names no replica"),
    ],
)
def test_what_is_wrong_is_named(endpoint: Corliss, settings: dict, field: str, words: str) -> None:
    status, answer = endpoint.request("PUT", "/api/v1/endpoints/times/routing", settings)
    assert status in (400, 422), answer
    assert words in answer["error"]["message"], answer
    assert answer["error"]["field"] == field, answer
    assert endpoint.request("PUT", "/api/v1/endpoints/nope/routing", {})[0] == 404


def test_what_would_do_nothing_is_refused_or_said(endpoint: Corliss, tmp_path: Path) -> None:
    endpoint.cli("endpoints", "connect", "talker", "--url", "http://127.0.0.1:9/v1", "--model", "m")
    try:
        refused = endpoint.run_cli("endpoints", "routing", "times", "--fallback", "talker")
        assert refused.returncode == 2 and "--fallback 'talker'" in refused.stderr, refused
        assert "answers texts" in refused.stderr and "'times' answers tensors" in refused.stderr, refused
    finally:
        endpoint.cli("endpoints", "delete", "talker", "--yes")
    noted = endpoint.run_cli("endpoints", "routing", "times", "--weight", "7=2")
    assert noted.returncode == 0 and "version 7, which no replica serves" in noted.stderr, noted
    assert "weights do nothing unless the router is weighted" in noted.stderr, noted
    file = tmp_path / "routing.json"
    for text, words in (("", "is empty"), ('{"concurrent_max": }', "line 1, column 20"), ("[]", "holds no object")):
        file.write_text(text)
        refused = endpoint.run_cli("endpoints", "routing", "times", "--file", str(file))
        assert refused.returncode == 2 and words in refused.stderr and '"router"' in refused.stderr, refused


def test_a_session_stays_and_the_record_says_why(endpoint: Corliss) -> None:
    routing(endpoint, "--router", "session_affinity", "--session-header", "x-patient")
    poll("the routing is taken over", lambda: _asked(endpoint, "1") == "affinity_kept")
    homes = {}
    for session in [str(number) for number in range(12)] * 2:
        _asked(endpoint, session)
        record = newest(endpoint)[0]
        assert (record["outcome"], record["attempts"], record["version"]) == ("answered", 1, 1)
        assert homes.setdefault(session, record["replica"]) == record["replica"]
    assert len(set(homes.values())) == 2
    table = endpoint.cli("endpoints", "requests", "times", "--limit", "3")
    assert "its session" in table and "answered" in table and len(table.strip().splitlines()) == 4


def _asked(corliss: Corliss, session: str) -> str:
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}
    status, answer = corliss.request("POST", "/v2/models/times/infer", body, headers={"x-patient": session})
    assert status == 200, answer
    return newest(corliss)[0]["reason"]["why"]


def test_a_replica_that_hangs_costs_its_clients_little(endpoint: Corliss) -> None:
    """Stopped, not killed: its socket takes connections and nothing comes back."""
    routing(endpoint, "--router", "round_robin", "--attempt-timeout-ms", "300", "--retry-budget", "100")
    poll("the routing is taken over", lambda: infer(endpoint, [1, 2, 3, 4], [1, 4]) and newest(endpoint)[0]["reason"]["why"] == "turn")
    stopped = _engines(endpoint, "times")[0]
    stopped.kill(signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(8) as clients:
            answers = list(clients.map(lambda _: infer(endpoint, [1, 2, 3, 4], [1, 4])[0], range(64)))
    finally:
        stopped.kill(signal.SIGCONT)
    assert answers == [200] * 64
    records = newest(endpoint, limit=64)
    assert max(record["attempts"] for record in records) == 2
    # It is set aside after a few: most did not have to find out.
    assert sum(record["attempts"] == 2 for record in records) < 40


def test_an_endpoint_without_replicas_is_stood_in_for(endpoint: Corliss) -> None:
    rules = {"fallback": ["spare"], "rules": [{"when": [{"header": {"name": "x-to", "is": "nowhere"}}], "to": {"version": 9}}]}
    assert endpoint.request("PUT", "/api/v1/endpoints/times/routing", rules)[0] == 200
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}

    def answered() -> bool:
        status, answer = endpoint.request("POST", "/v2/models/times/infer", body, headers={"x-to": "nowhere"})
        assert status == 200 and answer["outputs"][0]["data"] == [2, 4, 6, 8], answer
        spare = newest(endpoint, "spare")
        return bool(spare) and spare[0].get("instead_of") == "times"

    poll("the routing is taken over", answered)
    assert "answered for times" in endpoint.cli("endpoints", "requests", "spare", "-n", "1")


def _engines(corliss: Corliss, endpoint: str) -> list[processes.Process]:
    running = processes.of_home(corliss.home)
    return [process for process in running if process.verb == "engine" and endpoint in process.arguments]
