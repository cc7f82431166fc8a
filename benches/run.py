"""Runs every benchmark, one after the other, and prints their figures: `make bench`."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SUPPORT = {"run.py", "common.py", "completions.py", "llama_server.py", "mlflow_server.py", "posts.py"}


def main() -> int:
    failed = []
    for script in sorted(HERE.glob("*.py")):
        if script.name in SUPPORT:
            continue
        print(f"── {script.stem}", file=sys.stderr, flush=True)
        if subprocess.run([sys.executable, str(script), *sys.argv[1:]], check=False).returncode != 0:
            failed.append(script.stem)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
