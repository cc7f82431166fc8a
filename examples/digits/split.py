"""Splits the digits into a training and a test set: one fifth of each digit is held back.

Reads $CORLISS_INPUT_DIGITS/digits.csv.gz, one image a row: 64 pixels of 0 to 16, then the digit.
Writes train.npz and test.npz to $CORLISS_OUTPUT_SPLITS: images as float32 [n, 64] of 0 to 1, labels as
int64 [n]. The same input always gives the same bytes, so an unchanged step can be reused.
"""

import os
from pathlib import Path

import numpy as np


def split(labels: np.ndarray, seed: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of the training and of the test set, stratified by label."""
    generator = np.random.default_rng(seed)
    train, test = [], []
    for digit in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == digit))
        held_back = len(rows) // 5
        test.append(rows[:held_back])
        train.append(rows[held_back:])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(test))


def main() -> None:
    source = Path(os.environ.get("CORLISS_INPUT_DIGITS", "data"))
    target = Path(os.environ.get("CORLISS_OUTPUT_SPLITS", "out/splits"))
    target.mkdir(parents=True, exist_ok=True)

    table = np.loadtxt(source / "digits.csv.gz", delimiter=",", dtype=np.float32)
    images, labels = table[:, :64] / 16.0, table[:, 64].astype(np.int64)
    for name, rows in zip(("train", "test"), split(labels), strict=True):
        np.savez(target / f"{name}.npz", images=images[rows], labels=labels[rows])
        print(f"{name}: {len(rows)} images")


if __name__ == "__main__":
    main()
