"""Tracking beside MLflow's own server: each call of the scenarios in mlflow/ is answered as a real `mlflow server` answered
it, field by field, on SQLite and on PostgreSQL; or otherwise for a reason that the documentation gives.

What that server answered was written down by scripts/mlflow-record-scenarios.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Iterator

import pytest

from support import differential
from support.postgres import Postgres, postgres_server
from support.server import ROOT, Corliss, temporary_home

SCENARIOS = sorted((Path(__file__).parent / "mlflow").glob("*.txt"))
PAGE = ROOT / "docs/reference/mlflow.md"

# Why Corliss answers otherwise, in the words of docs/reference/mlflow.md, by the slug that scenarios name.
DIFFERENCES: dict[str, str] = {
    "words": "what is wrong with a filter is sometimes said in other words",
    "database": "No words of a database are told.",
    "caller": "What MLflow answers with 500 though its caller was wrong is 400 here",
    "checked": "What has the wrong type, an unknown state, a broken filter or a name that no file could have is refused",
    "lenient": "Where MLflow wants a list of texts, one text will do; an id in the path need not be in the body",
    "absent": "The history of a run that is not there is 404, and not an empty one. A folder is no artifact: 404.",
    "thinned": "A history that is thinned out has its first and last step and evenly chosen ones between",
    "start": "A run that is created without a start time starts now",
    "cut": "A tag that is given when a run is created is cut as others are.",
    "digest": "a dataset that is named without a digest means every state of it",
    "nan": "NaN is no number in a filter",
}


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def databases(request: pytest.FixtureRequest) -> Iterator[Postgres | None]:
    if request.param == "sqlite":
        yield None
        return
    with postgres_server() as server:
        yield server


@pytest.fixture
def fresh(databases: Postgres | None) -> Iterator[Corliss]:
    """A server without experiments, so that those of a scenario get the same numbers as on MLflow's."""
    with temporary_home() as home:
        corliss = Corliss(home, settings={"CORLISS_DATABASE_URL": databases.database()} if databases else None)
        try:
            corliss.up()
            yield corliss
            corliss.down()
        finally:
            corliss.kill_everything()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda file: file.stem)
def test_every_answer_is_the_one_that_mlflow_gave(fresh: Corliss, scenario: Path) -> None:
    steps, recorded = differential.read(scenario), differential.load(scenario.with_suffix(".json"))
    asked = [f"{step.method} {step.path}" for step in steps]
    assert asked == [one["call"] for one in recorded], "run scripts/mlflow-record-scenarios"
    wrong = []
    for step, theirs, ours in zip(steps, recorded, differential.run(steps, fresh.url, fresh.token), strict=True):
        problem = judge(step, theirs, ours)
        if problem:
            call = f"{step.method} {step.path} {json.dumps(step.args, ensure_ascii=False)[:300]}"
            wrong.append(
                f"{scenario.name}:{step.line} {call}: {problem}\n"
                f"  mlflow:  {theirs['status']} {json.dumps(theirs['answer'], ensure_ascii=False)[:1500]}\n"
                f"  corliss: {ours['status']} {json.dumps(ours['answer'], ensure_ascii=False)[:700]}"
            )
    assert not wrong, f"{len(wrong)} of {len(steps)} answers:\n" + "\n".join(wrong)


def judge(step: differential.Step, theirs: dict, ours: dict) -> str | None:
    """What is wrong with an answer, if something is."""
    same = differential.is_same(theirs, ours)
    if step.slug is None:
        return None if same else "it differs"
    if same:
        return "it is the same, though it is said to differ"
    code = ours["answer"].get("error_code") if isinstance(ours["answer"], dict) else None
    if ours["status"] != step.status or (step.code is not None and code != step.code):
        return f"it differs in another way than {step.status} {step.code}"
    return None


def test_what_differs_is_documented() -> None:
    used = {step.slug for scenario in SCENARIOS for step in differential.read(scenario) if step.slug}
    assert used == set(DIFFERENCES)
    page = re.sub(r"\s+", " ", PAGE.read_text())
    missing = [sentence for sentence in DIFFERENCES.values() if sentence not in page]
    assert not missing, f"{PAGE} does not say: {missing}"
