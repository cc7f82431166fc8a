"""A model that multiplies by FACTOR, so that an answer says which version gave it, and an endpoint of it."""

from __future__ import annotations

from pathlib import Path

from support.server import Corliss

PROJECT = """
project: times
steps:
  make: {run: python make.py, outputs: [model]}
models:
  times: {from: make.model, alias: champion}
endpoints:
  times: {model: times@champion, replicas: 1}
"""

MAKE = """
import os, onnx
from onnx import TensorProto, helper, numpy_helper
import numpy as np
factor = numpy_helper.from_array(np.full((4,), FACTOR, dtype=np.float32), "factor")
graph = helper.make_graph(
    [helper.make_node("Mul", ["x", "factor"], ["y"])], "times",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])], [factor],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.save(model, os.environ["CORLISS_OUTPUT_MODEL"] + "/model.onnx")
"""


def serve(corliss: Corliss, folder: Path, project: str = PROJECT) -> Corliss:
    """Waits until the endpoint `times` multiplies by two."""
    (folder / "corliss.yaml").write_text(project)
    (folder / "make.py").write_text(MAKE.replace("FACTOR", "2.0"))
    assert corliss.wait_run(corliss.submit(folder / "corliss.yaml"))["state"] == "succeeded"
    corliss.wait_endpoint("times")
    return corliss
