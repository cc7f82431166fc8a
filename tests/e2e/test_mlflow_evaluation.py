"""The unmodified mlflow client against datasets, scorers and workspaces. The same calls were run against MLflow's own server
3.17.2, with workspaces enabled for those that speak of them."""

from __future__ import annotations

import uuid

import mlflow
import pytest
import requests
from mlflow import MlflowClient
from mlflow.entities import DatasetRecordSource
from mlflow.exceptions import MlflowException
from mlflow.genai import datasets
from mlflow.genai.scorers import Guidelines, delete_scorer, get_scorer, list_scorers
from mlflow.genai.scorers.registry import list_scorer_versions

from support.server import Corliss


@pytest.fixture
def experiment(client: MlflowClient) -> str:
    return mlflow.set_experiment(f"e-{uuid.uuid4().hex[:8]}").experiment_id


def name() -> str:
    return f"d-{uuid.uuid4().hex[:8]}"


def records_of(dataset: datasets.EvaluationDataset) -> list[dict]:
    return datasets.get_dataset(dataset_id=dataset.dataset_id).to_df().to_dict("records")


def by_question(dataset: datasets.EvaluationDataset) -> dict[str, dict]:
    return {record["inputs"]["question"]: record for record in records_of(dataset)}


def test_a_dataset_keeps_one_record_of_the_same_inputs(experiment: str) -> None:
    dataset = datasets.create_dataset(name=name(), experiment_id=experiment, tags={"team": "search"})
    assert dataset.dataset_id.startswith("d-") and dataset.experiment_ids == [experiment]
    dataset.merge_records([
        {"inputs": {"question": "rain?", "k": 3}, "expectations": {"answer": "yes"}, "tags": {"lang": "en"}},
        {"inputs": {"question": "snow?", "k": 3}, "outputs": {"text": "no"}},
    ])
    first = datasets.get_dataset(dataset_id=dataset.dataset_id)
    assert (first.name, first.tags["team"]) == (dataset.name, "search")
    dataset.merge_records([
        {"inputs": {"k": 3, "question": "rain?"}, "expectations": {"sources": ["a", "b"]}, "tags": {"seen": "1"}},
        {"inputs": {"question": "sun?"}},
    ])
    found = by_question(dataset)
    assert set(found) == {"rain?", "snow?", "sun?"}
    rain = found["rain?"]
    assert rain["expectations"] == {"answer": "yes", "sources": ["a", "b"]}
    assert (rain["tags"]["lang"], rain["tags"]["seen"]) == ("en", "1")
    assert found["snow?"]["outputs"] == {"text": "no"}
    second = datasets.get_dataset(dataset_id=dataset.dataset_id)
    assert first.digest != second.digest and '"num_records": 3' in second.profile and '"k": "integer"' in second.schema

    assert dataset.delete_records([rain["dataset_record_id"]]) == 1
    assert set(by_question(dataset)) == {"snow?", "sun?"}


def test_records_come_from_traces(experiment: str) -> None:
    @mlflow.trace
    def ask(question: str) -> str:
        return question.upper()

    ask("rain?")
    trace = mlflow.get_trace(mlflow.get_last_active_trace_id(), flush=True)
    mlflow.log_expectation(trace_id=trace.info.trace_id, name="answer", value="YES")
    dataset = datasets.create_dataset(name=name(), experiment_id=experiment)
    dataset.merge_records([mlflow.get_trace(trace.info.trace_id)])
    record = by_question(dataset)["rain?"]
    assert record["expectations"] == {"answer": "YES"}
    assert (record["source_type"], record["source_id"]) == ("TRACE", trace.info.trace_id)
    source = DatasetRecordSource(source_type="HUMAN", source_data={"user_name": "ada"})
    dataset.merge_records([{"inputs": {"question": "snow?"}, "source": source.to_dict()}])
    assert by_question(dataset)["snow?"]["source"].source_data == {"user_name": "ada"}


def test_more_records_than_a_page_are_all_read(experiment: str) -> None:
    dataset = datasets.create_dataset(name=name(), experiment_id=experiment)
    dataset.merge_records([{"inputs": {"question": n}} for n in range(2500)])
    assert [record["inputs"]["question"] for record in records_of(dataset)] == list(range(2500))


def test_datasets_are_found_tagged_moved_and_removed(client: MlflowClient, experiment: str) -> None:
    other = client.create_experiment(f"e-{uuid.uuid4().hex[:8]}")
    one, two = (datasets.create_dataset(name=name(), experiment_id=experiment, tags={"n": n}) for n in "12")

    def found(experiment_id: str, **scope: object) -> list[str]:
        return [each.name for each in datasets.search_datasets(experiment_ids=[experiment_id], **scope)]

    assert found(experiment, order_by=["created_time ASC"]) == [one.name, two.name]
    assert found(experiment, filter_string="tags.n = '2'") == [two.name]
    assert found(experiment, filter_string=f"name LIKE '{one.name[:5]}%'", order_by=["name"])[0] == one.name
    assert found(experiment, max_results=1, order_by=["created_time DESC"]) == [two.name]
    assert datasets.get_dataset(name=one.name).dataset_id == one.dataset_id

    datasets.set_dataset_tags(dataset_id=one.dataset_id, tags={"n": "9", "more": "x"})
    datasets.delete_dataset_tag(dataset_id=one.dataset_id, key="more")
    tags = datasets.get_dataset(dataset_id=one.dataset_id).tags
    assert tags["n"] == "9" and "more" not in tags

    moved = datasets.add_dataset_to_experiments(dataset_id=one.dataset_id, experiment_ids=[other])
    assert sorted(moved.experiment_ids) == sorted([experiment, other])
    datasets.remove_dataset_from_experiments(dataset_id=one.dataset_id, experiment_ids=[experiment])
    assert (found(experiment), found(other)) == ([two.name], [one.name])

    datasets.delete_dataset(dataset_id=one.dataset_id)
    with pytest.raises(MlflowException, match="not found") as refused:
        datasets.get_dataset(dataset_id=one.dataset_id)
    assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    with pytest.raises(MlflowException, match="No Experiment with id=987654"):
        datasets.create_dataset(name=name(), experiment_id="987654")


def test_scorers_have_versions(experiment: str) -> None:
    polite = Guidelines(name="polite", guidelines="The answer is polite.", model="openai:/gpt-4o")
    polite.register(experiment_id=experiment)
    stricter = Guidelines(name="polite", guidelines="The answer is very polite.", model="openai:/gpt-4o")
    stricter.register(experiment_id=experiment)
    Guidelines(name="short", guidelines="It is short.", model="openai:/gpt-4o").register(experiment_id=experiment)

    listed = {scorer.name: scorer for scorer in list_scorers(experiment_id=experiment)}
    assert set(listed) == {"polite", "short"} and listed["polite"].guidelines == stricter.guidelines
    assert get_scorer(name="polite", experiment_id=experiment, version=1).guidelines == polite.guidelines
    assert get_scorer(name="polite", experiment_id=experiment).guidelines == stricter.guidelines
    assert [version for _, version in list_scorer_versions(name="polite", experiment_id=experiment)] == [1, 2]

    delete_scorer(name="polite", experiment_id=experiment, version=1)
    assert [version for _, version in list_scorer_versions(name="polite", experiment_id=experiment)] == [2]
    delete_scorer(name="polite", experiment_id=experiment, version="all")
    with pytest.raises(MlflowException, match="Scorer with name 'polite' not found"):
        get_scorer(name="polite", experiment_id=experiment)
    assert [scorer.name for scorer in list_scorers(experiment_id=experiment)] == ["short"]


@pytest.fixture
def workspace():
    """Sets the client's workspace, and after the test none."""
    yield mlflow.set_workspace
    mlflow.set_workspace(None)


def test_the_one_workspace_is_the_tenant(shared: Corliss, client: MlflowClient, workspace) -> None:
    assert [each.name for each in mlflow.list_workspaces()] == ["default"]
    assert mlflow.get_workspace("default").name == "default"
    workspace("default")
    created = mlflow.set_experiment(name())
    with mlflow.start_run() as run:
        mlflow.log_metric("loss", 0.5)
        mlflow.log_text("kept", "notes.txt")
    assert client.get_run(run.info.run_id).data.metrics == {"loss": 0.5}

    workspace("elsewhere")
    for refused in (
        lambda: client.get_run(run.info.run_id),
        lambda: client.get_experiment(created.experiment_id),
        lambda: client.create_experiment(name()),
        lambda: mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/notes.txt"),
        lambda: datasets.search_datasets(experiment_ids=[created.experiment_id]),
    ):
        with pytest.raises(MlflowException, match="Workspace 'elsewhere' not found"):
            refused()
    with pytest.raises(MlflowException, match="Workspace 'elsewhere' not found"):
        mlflow.get_workspace("elsewhere")
    workspace(None)
    assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/notes.txt") == "kept"


def test_workspaces_cannot_be_changed(shared: Corliss, client: MlflowClient) -> None:
    for change in (
        lambda: mlflow.create_workspace("team-a"),
        lambda: mlflow.update_workspace("default", description="x"),
        lambda: mlflow.delete_workspace("default"),
    ):
        with pytest.raises(MlflowException, match="This installation has one workspace, 'default'"):
            change()
    assert [each.name for each in mlflow.list_workspaces()] == ["default"]
    # Spans go another way than everything else.
    headers = {
        "authorization": f"Bearer {shared.token}", "content-type": "application/json",
        "x-mlflow-experiment-id": "0", "x-mlflow-workspace": "elsewhere",
    }
    answer = requests.post(f"{shared.url}/v1/traces", json={"resourceSpans": []}, headers=headers, timeout=30)
    assert (answer.status_code, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
