"""The unmodified mlflow client's models: logged models, datasets, registered models, stages, and what is refused."""

from __future__ import annotations

import uuid
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelStatus, Metric
from mlflow.exceptions import MlflowException


@pytest.fixture
def experiment(client: MlflowClient) -> str:
    return client.create_experiment(f"e-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def model(client: MlflowClient) -> str:
    name = f"m-{uuid.uuid4().hex[:8]}"
    client.create_registered_model(name, tags={"team": "vision"}, description="a model")
    return name


def logged_files(client: MlflowClient, experiment: str, folder: Path) -> tuple[str, str]:
    """A run with a folder of artifacts; its id and the folder's URI."""
    (folder / "weights.bin").write_bytes(b"weights")
    run = client.create_run(experiment)
    client.log_artifact(run.info.run_id, str(folder / "weights.bin"), "model")
    return run.info.run_id, f"{run.info.artifact_uri}/model"


def test_a_logged_model_from_pending_to_registered(client: MlflowClient, experiment: str, tmp_path: Path) -> None:
    run = client.create_run(experiment).info.run_id
    logged = client.create_logged_model(experiment, name="net", source_run_id=run, params={"rate": "0.1"}, tags={"a": "b"})
    assert logged.status == LoggedModelStatus.PENDING and logged.params == {"rate": "0.1"}
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "MLmodel").write_text("flavors: {}\n")
    client.log_model_artifacts(logged.model_id, str(tmp_path / "files"))
    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    client.set_logged_model_tags(logged.model_id, {"stage": "done"})
    client.log_batch(run, metrics=[Metric("accuracy", 0.9, 1, 3, model_id=logged.model_id)])
    client.log_outputs(run, [mlflow.entities.LoggedModelOutput(logged.model_id, step=3)])

    read = client.get_logged_model(logged.model_id)
    assert read.status == LoggedModelStatus.READY and read.tags["stage"] == "done"
    assert [(m.key, m.value, m.run_id) for m in read.metrics] == [("accuracy", 0.9, run)]
    assert [output.model_id for output in client.get_run(run).outputs.model_outputs] == [logged.model_id]
    found = client.search_logged_models([experiment], "metrics.accuracy > 0.8 AND name = 'net'")
    assert [one.model_id for one in found] == [logged.model_id]
    assert list(client.search_logged_models([experiment], "metrics.accuracy > 0.95")) == []
    assert [item.path for item in client.list_logged_model_artifacts(logged.model_id)] == ["MLmodel"]

    version = mlflow.register_model(f"models:/{logged.model_id}", f"m-{uuid.uuid4().hex[:8]}")
    assert int(version.version) == 1
    fetched = mlflow.artifacts.download_artifacts(f"models:/{version.name}/1", dst_path=str(tmp_path / "down"))
    assert (Path(fetched) / "MLmodel").read_text() == "flavors: {}\n"
    client.delete_logged_model(logged.model_id)
    with pytest.raises(MlflowException, match="not found"):
        client.get_logged_model(logged.model_id)


def test_a_run_says_which_data_it_read(client: MlflowClient, experiment: str) -> None:
    run = client.create_run(experiment).info.run_id
    dataset = Dataset(name="digits", digest="abc", source_type="local", source='{"uri": "x"}', schema="{}")
    client.log_inputs(run, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
    client.log_inputs(run, [DatasetInput(dataset, [InputTag("mlflow.data.context", "again")])])
    (read,) = client.get_run(run).inputs.dataset_inputs
    assert (read.dataset.name, read.dataset.schema, read.tags[0].value) == ("digits", "{}", "training")
    for filter_string, count in [
        ("datasets.name = 'digits' AND dataset.context = 'training'", 1),
        ("datasets.digest IN ('abc', 'x')", 1),
        ("datasets.name = 'other'", 0),
    ]:
        assert len(client.search_runs([experiment], filter_string)) == count, filter_string


def test_versions_aliases_tags_and_search(client: MlflowClient, experiment: str, model: str, tmp_path: Path) -> None:
    run, source = logged_files(client, experiment, tmp_path)
    for _ in range(3):
        client.create_model_version(model, source, run_id=run, tags={"kind": "test"}, description="one of three")
    client.set_registered_model_alias(model, "champion", "2")
    client.set_registered_model_alias(model, "champion", "3")
    assert client.get_model_version(model, "3").aliases == ["champion"]
    assert client.get_model_version(model, "2").aliases == []
    assert int(client.get_model_version_by_alias(model, "champion").version) == 3
    client.set_model_version_tag(model, "1", "checked", "yes")
    found = client.search_model_versions(f"name = '{model}' AND tags.checked = 'yes'")
    assert [int(version.version) for version in found] == [1]
    ordered = client.search_model_versions(f"run_id = '{run}'", order_by=["version_number ASC"], max_results=2)
    assert [int(version.version) for version in ordered] == [1, 2] and ordered.token
    rest = client.search_model_versions(
        f"run_id = '{run}'", order_by=["version_number ASC"], max_results=2, page_token=ordered.token
    )
    assert [int(version.version) for version in rest] == [3] and not rest.token
    assert client.get_model_version_download_uri(model, "1") == source
    (found_model,) = client.search_registered_models(f"name ILIKE '{model.upper()}' AND tags.team = 'vision'")
    assert found_model.description == "a model" and found_model.latest_versions[0].version in (3, "3")
    client.delete_model_version(model, "3")
    with pytest.raises(MlflowException):
        client.get_model_version_by_alias(model, "champion")
    assert int(client.create_model_version(model, source, run_id=run).version) == 4, "no number is given twice"
    client.rename_registered_model(model, f"{model}-b")
    assert len(client.search_model_versions(f"name = '{model}-b'")) == 3
    client.delete_registered_model(f"{model}-b")
    with pytest.raises(MlflowException, match="not found"):
        client.get_registered_model(f"{model}-b")


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_stages_still_work_for_those_who_use_them(
    client: MlflowClient, experiment: str, model: str, tmp_path: Path
) -> None:
    run, source = logged_files(client, experiment, tmp_path)
    for _ in range(2):
        client.create_model_version(model, source, run_id=run)
    client.transition_model_version_stage(model, "1", "Production")
    client.transition_model_version_stage(model, "2", "Production", archive_existing_versions=True)
    assert client.get_model_version(model, "1").current_stage == "Archived"
    (latest,) = client.get_latest_versions(model, ["Production"])
    assert int(latest.version) == 2


@pytest.mark.parametrize(
    "source", ["/etc/passwd", "file:///etc/passwd", "s3://bucket/model", "mlflow-artifacts:/0/../../etc", "models:/m-0"]
)
def test_a_source_is_never_a_path(client: MlflowClient, model: str, source: str) -> None:
    with pytest.raises(MlflowException) as refused:
        client._get_registry_client().store.create_model_version(model, source)
    assert refused.value.error_code in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST")
    assert client.search_model_versions(f"name = '{model}'") == []


def test_refusals_of_the_registry_are_mlflows_own(client: MlflowClient, model: str) -> None:
    with pytest.raises(MlflowException) as twice:
        client.create_registered_model(model)
    assert twice.value.error_code == "RESOURCE_ALREADY_EXISTS"
    with pytest.raises(MlflowException) as absent:
        client.get_model_version(model, "1")
    assert absent.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    for alias in ("latest", "v1"):
        with pytest.raises(MlflowException, match="reserved"):
            client._get_registry_client().store.set_registered_model_alias(model, alias, "1")
    with pytest.raises(MlflowException) as unbuilt:
        client._tracking_client.store.upsert_online_scoring_config("0", "polite", 0.5)
    assert unbuilt.value.error_code == "ENDPOINT_NOT_FOUND", "what is not built says so"
