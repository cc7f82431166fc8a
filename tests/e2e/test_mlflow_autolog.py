"""`mlflow.autolog()` as a person types it: what scikit-learn and PyTorch Lightning log by themselves is there, and the models
that they logged can be loaded and predict what they predicted."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Iterator

import mlflow
import numpy
import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus



@pytest.fixture
def client(client: MlflowClient) -> Iterator[MlflowClient]:
    """Everything that MLflow can watch is watched, and nothing after the test."""
    mlflow.set_experiment(f"autolog-{uuid.uuid4().hex[:8]}")
    mlflow.autolog(silent=True)
    yield client
    mlflow.autolog(disable=True, silent=True)
    while mlflow.active_run():
        mlflow.end_run()


def files(client: MlflowClient, run: str, folder: str = "") -> set[str]:
    found: set[str] = set()
    for item in client.list_artifacts(run, folder or None):
        found |= files(client, run, item.path) if item.is_dir else {item.path}
    return found


@pytest.fixture
def blobs() -> tuple[numpy.ndarray, numpy.ndarray]:
    """Two clouds of points that a line divides."""
    random = numpy.random.default_rng(7)
    points = numpy.concatenate([random.normal(-2, 0.5, (40, 3)), random.normal(2, 0.5, (40, 3))])
    return points, numpy.repeat([0, 1], 40)


def test_scikit_learn(client: MlflowClient, blobs: tuple[numpy.ndarray, numpy.ndarray], tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    points, classes = blobs
    model = LogisticRegression(C=0.5, max_iter=77)
    with mlflow.start_run() as active:
        model.fit(points, classes)
        score = model.score(points, classes)
    run = client.get_run(active.info.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["C"] == "0.5" and run.data.params["max_iter"] == "77"
    assert run.data.metrics["training_accuracy_score"] == pytest.approx(score)
    assert {"training_f1_score", "training_log_loss", "training_roc_auc"} <= set(run.data.metrics)
    assert run.data.tags["estimator_name"] == "LogisticRegression"
    (dataset,) = run.inputs.dataset_inputs
    assert dataset.dataset.source_type == "code" and json.loads(dataset.dataset.profile)
    # The model is one of its own, which the run names as its output.
    (output,) = run.outputs.model_outputs
    logged = client.get_logged_model(output.model_id)
    assert logged.status == LoggedModelStatus.READY and logged.source_run_id == run.info.run_id
    assert {metric.key for metric in logged.metrics} >= {"training_accuracy_score"}
    assert logged.params["C"] == "0.5"
    found = mlflow.search_logged_models([run.info.experiment_id], "metrics.training_accuracy_score > 0.9", output_format="list")
    assert [one.model_id for one in found] == [logged.model_id]
    info = mlflow.models.get_model_info(f"models:/{logged.model_id}")
    assert info.signature.inputs.input_types()[0].kind == "f" and info.signature.outputs is not None
    assert "MLmodel" in {item.path for item in client.list_logged_model_artifacts(logged.model_id)}
    loaded = mlflow.sklearn.load_model(f"models:/{logged.model_id}")
    assert (loaded.predict(points) == model.predict(points)).all()
    assert files(client, run.info.run_id) >= {"estimator.html"}


def test_a_search_for_parameters_makes_runs_below_its_own(
    client: MlflowClient, blobs: tuple[numpy.ndarray, numpy.ndarray]
) -> None:
    from sklearn.model_selection import GridSearchCV
    from sklearn.tree import DecisionTreeClassifier

    with mlflow.start_run() as active:
        GridSearchCV(DecisionTreeClassifier(), {"max_depth": [1, 2, 3]}, cv=2).fit(*blobs)
    run = client.get_run(active.info.run_id)
    assert "best_max_depth" in run.data.params and "best_cv_score" in run.data.metrics
    children = client.search_runs(
        [run.info.experiment_id], f"tags.mlflow.parentRunId = '{run.info.run_id}'", order_by=["params.max_depth"]
    )
    assert [child.data.params["max_depth"] for child in children] == ["1", "2", "3"]
    assert all("mean_test_score" in child.data.metrics for child in children)
    assert {"cv_results.csv"} <= files(client, run.info.run_id)


@pytest.mark.filterwarnings("ignore")
def test_pytorch(client: MlflowClient, blobs: tuple[numpy.ndarray, numpy.ndarray]) -> None:
    import pytorch_lightning
    import torch

    points, classes = (torch.tensor(array, dtype=torch.float32) for array in blobs)

    class Line(pytorch_lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.line = torch.nn.Linear(3, 1)

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return self.line(batch)[:, 0]

        def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _index: int) -> torch.Tensor:
            loss = torch.nn.functional.binary_cross_entropy_with_logits(self(batch[0]), batch[1])
            self.log("loss", loss, on_epoch=True, on_step=False)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.125)

    torch.manual_seed(7)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(points, classes), batch_size=20)
    trainer = pytorch_lightning.Trainer(
        max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )
    model = Line()
    with mlflow.start_run() as active:
        trainer.fit(model, loader)
    run = client.get_run(active.info.run_id)
    assert run.data.params["epochs"] == "3" and run.data.params["optimizer_name"] == "SGD"
    assert float(run.data.params["lr"]) == 0.125
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [point.step for point in history] == [0, 1, 2] and history[2].value < history[0].value
    assert "model_summary.txt" in files(client, run.info.run_id)
    (output,) = run.outputs.model_outputs
    assert client.get_logged_model(output.model_id).status == LoggedModelStatus.READY
    loaded = mlflow.pytorch.load_model(f"models:/{output.model_id}")
    with torch.no_grad():
        assert torch.equal(loaded(points), model(points))
