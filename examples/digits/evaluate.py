"""Measures the exported model, as it will be served, on the images that were held back.

Reads $CORLISS_INPUT_MODEL/model.onnx and $CORLISS_INPUT_SPLITS/test.npz; logs `accuracy`, which the gate
in corliss.yaml asks for, and writes the confusion matrix to $CORLISS_OUTPUT_REPORT/report.json.
"""

import json
import os
from pathlib import Path

import numpy as np
import onnxruntime


def main() -> None:
    splits = Path(os.environ.get("CORLISS_INPUT_SPLITS", "out/splits"))
    model = Path(os.environ.get("CORLISS_INPUT_MODEL", "out/model"))
    report = Path(os.environ.get("CORLISS_OUTPUT_REPORT", "out/report"))
    report.mkdir(parents=True, exist_ok=True)

    with np.load(splits / "test.npz") as test:
        images, labels = test["images"], test["labels"]
    session = onnxruntime.InferenceSession(str(model / "model.onnx"), providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"image": images})
    guesses = logits.argmax(axis=1)
    accuracy = float((guesses == labels).mean())
    confusion = np.zeros((10, 10), dtype=int)
    np.add.at(confusion, (labels, guesses), 1)

    result = {"accuracy": accuracy, "images": len(labels), "confusion": confusion.tolist()}
    (report / "report.json").write_text(json.dumps(result, indent=1) + "\n")
    print(f"accuracy {accuracy:.4f} on {len(labels)} images")

    if "MLFLOW_TRACKING_URI" in os.environ:
        import mlflow

        with mlflow.start_run():
            mlflow.log_metric("accuracy", accuracy)
            mlflow.log_dict(result, "report.json")


if __name__ == "__main__":
    main()
