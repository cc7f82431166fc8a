"""What the tests of MLflow's unmodified client share."""

from __future__ import annotations

import mlflow
import pytest
from mlflow import MlflowClient

from support.server import Corliss


@pytest.fixture
def client(shared: Corliss, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """The client as a user has it, by environment and address, on the server of the file."""
    for name, value in shared.variables().items():
        monkeypatch.setenv(name, value)
    mlflow.set_tracking_uri(shared.url)
    mlflow.set_registry_uri(shared.url)
    return MlflowClient()
