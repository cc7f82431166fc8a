"""Copies the handwritten digits that scikit-learn carries into ./data, where corliss.yaml looks for them.

The data set is 1,797 images of 8 by 8 pixels (UCI Optical Recognition of Handwritten Digits). It comes
with the installed package, so nothing is downloaded and nothing is committed here.
"""

import shutil
from importlib.resources import as_file, files
from pathlib import Path

if __name__ == "__main__":
    folder = Path(__file__).parent / "data"
    folder.mkdir(exist_ok=True)
    with as_file(files("sklearn.datasets.data") / "digits.csv.gz") as source:
        shutil.copyfile(source, folder / "digits.csv.gz")
    print(f"wrote {folder / 'digits.csv.gz'}")
