"""Asks the endpoint `digits` about handwritten digits over the Open Inference Protocol, version 2.

Finds the server by CORLISS_URL and CORLISS_TOKEN, which `eval "$(corliss env)"` sets. The images are
those that scikit-learn carries, as pixels of 0 to 1; eight go into each request.
"""

import argparse
import json
import os

import requests
from sklearn.datasets import load_digits

BATCH = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoint", default="digits")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a line per image")
    arguments = parser.parse_args()

    if not {"CORLISS_URL", "CORLISS_TOKEN"} <= os.environ.keys():
        parser.error('CORLISS_URL and CORLISS_TOKEN are not set; first: eval "$(corliss env)"')
    model = f"{os.environ['CORLISS_URL']}/v2/models/{arguments.endpoint}"
    session = requests.Session()
    session.headers["authorization"] = f"Bearer {os.environ['CORLISS_TOKEN']}"
    metadata = session.get(model, timeout=30)
    metadata.raise_for_status()
    (image,) = metadata.json()["inputs"]

    digits = load_digits()
    images, labels = digits.data[: arguments.images] / 16.0, digits.target[: arguments.images]
    correct, sent = 0, 0
    for first in range(0, len(images), BATCH):
        batch = images[first : first + BATCH]
        answer = session.post(f"{model}/infer", timeout=30, json={"inputs": [{
            "name": image["name"], "datatype": "FP32", "shape": list(batch.shape), "data": batch.flatten().tolist(),
        }]})
        answer.raise_for_status()
        sent += 1
        (logits,) = answer.json()["outputs"]
        for row, label in enumerate(labels[first : first + BATCH]):
            scores = logits["data"][10 * row : 10 * row + 10]
            guess = scores.index(max(scores))
            correct += guess == label
            if not arguments.json:
                print(f"image {first + row}: {guess}" + ("" if guess == label else f", but it is {label}"))
    if arguments.json:
        print(json.dumps({"images": len(images), "correct": int(correct), "requests": sent}))
    else:
        print(f"{correct} of {len(images)} right")


if __name__ == "__main__":
    main()
