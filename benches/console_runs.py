"""The console's run table over 10,000 runs of 20 metrics and 20 parameters, in a real Chromium: how long until the first
rows, the last rows after a jump and another order are there, and how evenly it draws while it is scrolled from one end
to the other."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from common import ROOT, fresh, report

from tracking_load import Server  # noqa: E402
from tracking_scale import fill  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=lambda path: (ROOT / path).resolve(), default=ROOT / "target/release/corliss")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--rounds", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with fresh(options.binary) as corliss:
        server = Server("Corliss", corliss.url, corliss.token)
        fill(server, options.runs)
        asked = {"CONSOLE_URL": corliss.url, "CONSOLE_TOKEN": corliss.token, "CONSOLE_EXPERIMENT": server.experiment}
        measured = subprocess.run(
            ["node", str(Path(__file__).with_suffix(".mjs"))], env=os.environ | asked, check=True, timeout=300,
            stdout=subprocess.PIPE, text=True,
        )
        for figure, (value, unit) in json.loads(measured.stdout).items():
            report(f"run table: {figure}", value, unit)


if __name__ == "__main__":
    sys.exit(main())
