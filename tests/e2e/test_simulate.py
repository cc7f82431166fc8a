"""`corliss simulate`, which needs no server: what it prints, what it refuses, and what the recorded traces show."""

from __future__ import annotations

import json
import os
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from support.server import ROOT, default_binary

ROUTERS = ["round_robin", "weighted", "least_connections", "least_response_time", "least_tokens", "prefix_aware",
           "session_affinity"]
TRACES = Path(os.environ.get("CORLISS_TRACES") or ROOT.parent / "shared/data/traces")


def simulate(*arguments: str | Path, traces: Path = TRACES) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CORLISS_TRACES": str(traces)}
    return subprocess.run(
        [str(default_binary()), "simulate", *map(str, arguments)], env=environment, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=120, check=False,
    )


def answer(*arguments: str | Path) -> dict:
    done = simulate(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def recorded(kind: str, name: str) -> str:
    if not (TRACES / kind / name).exists():
        pytest.skip(f"{TRACES / kind / name} is not there; CORLISS_TRACES names the folder of traces")
    return f"{kind}:{name}"


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "mine.csv"
    rows = [f"{n * 0.1:.1f},{100 + n},{10 + n % 7}" for n in range(50)]
    path.write_text("\n".join(["arrived_at,num_prefill_tokens,num_decode_tokens", *rows, ""]))
    return path


def test_the_command_of_the_guide_on_azures_trace() -> None:
    trace = recorded("azure-llm", "conv_2023.csv")
    told = answer("--trace", trace, "--router", "least_tokens", "--replicas", "8")
    (result,) = told["results"]
    assert told["trace"]["requests"] == result["requests"] == 19366
    assert (result["router"], result["refused"]) == ("least_tokens", 0)
    assert result["prefill_tokens"] == {"computed": 22361870, "saved": 0}
    assert result["reasons"] == {"fewest_tokens": 19366}
    assert result["requests_per_replica"]["min_of_max"] > 0.9


def test_prefix_aware_beats_round_robin_on_mooncakes_trace() -> None:
    trace = recorded("mooncake", "synthetic_trace.jsonl")
    told = answer("--trace", trace, "--router", "round_robin", "--router", "prefix_aware")
    in_turn, prefix_aware = told["results"]
    assert prefix_aware["prefill_tokens"]["computed"] < in_turn["prefill_tokens"]["computed"]
    assert prefix_aware["ttft_ms"]["p99"] < in_turn["ttft_ms"]["p99"]


def test_all_are_compared_and_a_seed_repeats_itself(trace: Path) -> None:
    arguments = ["--trace", f"azure-llm:{trace}", "--replicas", "3", "--seed", "7"]
    told = answer(*arguments)
    assert [result["router"] for result in told["results"]] == ROUTERS
    assert told == answer(*arguments)
    table = simulate(*arguments)
    assert [line.split()[0] for line in table.stdout.splitlines()[3:]] == ROUTERS
    one = simulate(*arguments, "--router", "least_tokens").stdout
    assert "50 requests" in one and "fewest_tokens 50" in one


@pytest.mark.parametrize(("text", "said", "field"), [
    ("", "line 1: the first line, which names the columns, is empty", None),
    ("arrived_at,num_decode_tokens\n0,1\n", "line 1: there is no column num_prefill_tokens", "num_prefill_tokens"),
    ("arrived_at,num_prefill_tokens,num_decode_tokens\n", "line 1: the file has no request", None),
    ("arrived_at,num_prefill_tokens,num_decode_tokens\n2,1,1\n1,1,1\n", "line 3: arrived_at is earlier", "arrived_at"),
    ("arrived_at,num_prefill_tokens,num_decode_tokens\n0,-5,1\n", "line 2: num_prefill_tokens is -5", "num_prefill_tokens"),
])
def test_a_bad_trace_is_told_by_line(tmp_path: Path, text: str, said: str, field: str | None) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    done = simulate("--trace", f"azure-llm:{path}", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    error = json.loads(done.stderr)["error"]
    assert error["message"].startswith(f"{path}: {said}")
    assert (error["code"], error.get("field")) == ("trace_invalid", field)
    assert error["hint"]


def test_a_wrong_command_line_names_the_fix(trace: Path) -> None:
    usual = ["--trace", f"azure-llm:{trace}"]
    for arguments, said in [
        (["--trace", "mine.csv"], "give KIND:FILE"),
        (["--trace", "philly:mine.csv"], "give azure-llm, mooncake, muri, elasticflow, jobs or openb"),
        (["--trace", "azure-llm:nowhere.csv"], "set CORLISS_TRACES"),
        ([*usual, "--router", "least_token"], "did you mean least_tokens?"),
        ([*usual, "--replicas", "0"], "0 is not in 1..=1000"),
        ([*usual, "--rate", "0"], "give 0.01 to 1000"),
        ([*usual, "--speeds", "1,2"], "give one speed for each replica"),
        ([*usual, "--batch-tokens", "8"], "more tokens than sequences"),
        ([*usual, "--kv-token-us=-1"], "give microseconds"),
    ]:
        done = simulate(*arguments)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert said in done.stderr, done.stderr


def test_what_fits_no_replica_is_counted(trace: Path) -> None:
    told = answer("--trace", f"azure-llm:{trace}", "--router", "least_tokens", "--kv-tokens", "130")
    (result,) = told["results"]
    assert 0 < result["refused"] < result["requests"] == 50
    done = simulate("--trace", f"azure-llm:{trace}", "--router", "least_tokens", "--kv-tokens", "130")
    assert f"{result['refused']} requests refused" in done.stdout


def test_jobs_end_when_muri_says_so() -> None:
    recorded("muri", "trace3.csv")
    arguments = ["--trace", "muri:trace3.csv", "--cluster", "n8g8.csv"]
    one = answer(*arguments, "--policy", "srtf")
    assert abs(one["jct_s"]["mean"] - 193_082) <= 1 and one["results"][0]["policy"] == one["policy"] == "srtf", one
    all_of_them = answer(*arguments)
    assert [result["policy"] for result in all_of_them["results"]] == ["fifo", "sjf", "srtf", "srsf", "las"]
    assert "jct_s" not in all_of_them, "several have no result in common"
    table = simulate(*arguments).stdout
    assert "992 jobs on 8 nodes of 8 accelerators" in table and "srsf" in table, table
    free = answer(*arguments, "--policy", "srtf", "--start-costs", "false")
    assert free["jct_s"]["mean"] < one["jct_s"]["mean"]


def test_pods_fill_nodes_the_same_way_twice() -> None:
    recorded("openb", "pods_default.csv")
    arguments = ["--trace", "openb:pods_default.csv", "--nodes", "nodes_gpu.csv", "--arrivals", "1.3", "--seed", "1"]
    fgd = answer(*arguments, "--policy", "fgd")
    assert fgd == answer(*arguments, "--policy", "fgd")
    random = answer(*arguments, "--policy", "random")
    assert random["gpu_allocation_percent"] + 4 < fgd["gpu_allocation_percent"] < 100, (random, fgd)
    assert "IN USE" in simulate(*arguments, "--policy", "best-fit").stdout


@pytest.mark.parametrize(
    ("trace", "more", "words"),
    [
        ("num_gpu,submit_time\n1,2\n", [], "line 1: there is no column iterations"),
        ("num_gpu,submit_time,iterations,iteration_time,model_name\n1,-5,1,1,x\n", [], "line 2: submit_time is '-5'"),
        ("num_gpu,submit_time,iterations,iteration_time,model_name\n65,0,1,1,x\n", [], "no job fits 64 accelerators"),
        (None, ["--policy", "best"], "fifo, sjf, srtf, srsf, las, or all"),
    ],
)
def test_jobs_that_make_no_sense_are_named(tmp_path: Path, trace: str | None, more: list[str], words: str) -> None:
    good = "num_gpu,submit_time,iterations,iteration_time,model_name\n1,0,1,1,x\n"
    (tmp_path / "jobs.csv").write_text(trace or good)
    (tmp_path / "cluster.csv").write_text("num_switch,num_node_p_switch,num_gpu_p_node\n1,8,8\n")
    done = simulate("--trace", f"muri:{tmp_path / 'jobs.csv'}", "--cluster", tmp_path / "cluster.csv", *more)
    assert done.returncode == 2 and words in done.stderr, done
    alone = simulate("--trace", f"muri:{tmp_path / 'jobs.csv'}")
    assert alone.returncode == 2 and "needs --cluster" in alone.stderr, alone


JOBS = """submission_time,duration,num_gpu,deadline,user
0,3600,8,,ann
60,7200,16,20000,ann
120,300,1,900,bob
130,60,4,4000,bob
"""


def test_a_list_of_ones_own_jobs_is_played_by_the_queues_scheduler(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(JOBS)
    told = answer("--trace", f"jobs:{tmp_path / 'mine.csv'}", "--cluster", "2x8")
    assert told["trace"]["jobs"] == 4 and told["cluster"] == {"nodes": 2, "gpus_per_node": 8}
    results = {result["policy"]: result for result in told["results"]}
    assert list(results) == ["fifo", "backfill", "fair", "sjf", "srtf", "srsf", "las", "edf"]
    assert all(result["jobs"] == 4 and result["gpu_hours"] == pytest.approx(40.15, abs=0.01) for result in results.values())
    # The second waits for both nodes, and only where nobody is filled in do the small ones wait with it.
    assert (results["fifo"]["deadlines_met_percent"], results["edf"]["deadlines_met_percent"]) == (pytest.approx(100 / 3), 100.0)
    assert results["backfill"]["waiting_s"]["p50"] == 0 < results["fifo"]["waiting_s"]["p50"]
    one = answer("--trace", f"elasticflow:{tmp_path / 'mine.csv'}", "--cluster", "2x8", "--policy", "edf")
    assert one["deadlines_met_percent"] == 100.0
    lost = answer("--trace", f"jobs:{tmp_path / 'mine.csv'}", "--cluster", "2x8", "--policy", "las", "--checkpoint-s", "3600", "--grace-s", "30")
    assert lost["preemptions"] > 0 and lost["gpu_hours_lost"] > 0


def test_lists_and_clusters_that_make_no_sense_are_refused_with_the_fix(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text(JOBS)
    (tmp_path / "bad.csv").write_text(JOBS.replace("120,300", "120,-300"))
    for name, arguments, told in [
        ("bad", ["--cluster", "2x8"], "line 4: duration is '-300', which is no time in range"),
        ("good", ["--cluster", "0x8"], "'0x8' is no cluster: give 1 to"),
        ("good", [], "needs --cluster"),
        ("good", ["--cluster", "2x8", "--policy", "backfil"], "did you mean backfill?"),
    ]:
        done = simulate("--trace", f"jobs:{tmp_path / name}.csv", *arguments)
        assert done.returncode == 2 and told in done.stderr, (arguments, done)


def test_a_plot_shows_when_jobs_were_done(tmp_path: Path, trace: Path) -> None:
    (tmp_path / "mine.csv").write_text("submission_time,duration,num_gpu\n0,100,8\n10,10,8\n20,1000,8\n")
    jobs = ["--trace", f"jobs:{tmp_path / 'mine.csv'}", "--cluster", "1x8", "--policy", "fifo", "--policy", "srtf"]
    for name in ("plot.svg", "plot.html"):
        done = simulate(*jobs, "--plot", tmp_path / name)
        assert done.returncode == 0, done.stderr
    drawn = ElementTree.parse(tmp_path / "plot.svg").getroot()
    names = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert names[-2:] == ["fifo", "srtf"] and "100 %" in names and "1 min" in names, names
    page = (tmp_path / "plot.html").read_text()
    assert page.count("<svg") == 1 and "POLICY" in page and "<script" not in page
    for arguments, said in (
        ([*jobs, "--plot", tmp_path / "plot.png"], "ends neither in .svg nor in .html"),
        ([*jobs, "--plot", tmp_path / "none" / "plot.svg"], "cannot write"),
        (["--trace", f"azure-llm:{trace}", "--plot", tmp_path / "plot.svg"], "--plot draws jobs"),
    ):
        done = simulate(*arguments)
        assert done.returncode == 2 and said in done.stderr, done.stderr


def test_nodes_that_fail_lose_work_and_are_told(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.csv"
    jobs.write_text("submission_time,duration,num_gpu\n" + "".join(f"{n * 600},36000,4\n" for n in range(20)))
    play = ("--trace", f"jobs:{jobs}", "--cluster", "4x8", "--policy", "fifo")
    calm = answer(*play)
    assert (calm["failures"], calm["gangs_lost"], calm["gpu_hours_lost"]) == (0, 0, 0), calm
    failing = (*play, "--mtbf-h", "24", "--repair-h", "2", "--seed", "3")
    lost = answer(*failing)
    assert lost["failures"] > 0 and lost["gangs_lost"] > 0 and lost["gpu_hours_lost"] > 0, lost
    assert lost["makespan_s"] > calm["makespan_s"] and lost == answer(*failing)
    saving = answer(*failing, "--checkpoint-s", "600")
    assert 0 < saving["gpu_hours_lost"] < lost["gpu_hours_lost"], (saving, lost)
    assert "GANGS LOST" in simulate(*failing).stdout
