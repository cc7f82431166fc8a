"""What encryption at rest costs: the seconds of one core that sealing and opening take a gigabyte, beside all seconds of
CPU that a server takes to add and to lay out one file of 1 GB and 25,000 files of 35 KB. There is no switch to turn it
off and measure without; so a copy in memory, which would be left of sealing, is taken off."""

import json
import os
import random
import subprocess
from pathlib import Path

from common import ROOT, arguments, fresh, report

from support.server import Corliss, temporary_home

EXAMPLE = ["cargo", "run", "--quiet", "--release", "--locked", "-p", "corliss-keyring", "--example", "sealing"]
SHAPES = {"1 file of 1 GB": (1, 1 << 30, 64 << 10), "25,000 of 35 KB": (25_000, 35_000, 35_000)}


def sealing() -> dict[int, dict[str, float]]:
    said = subprocess.run(EXAMPLE, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    costs = (json.loads(line) for line in said.splitlines())
    return {cost["piece_bytes"]: cost for cost in costs}


def cpu_seconds(corliss: Corliss) -> float:
    user, system = Path(f"/proc/{corliss.server().pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    options = arguments(__doc__)
    costs = sealing()
    for piece_bytes, cost in costs.items():
        for step in ("seal", "open"):
            report(f"pieces of {piece_bytes} B, {step}", 1 / (cost[f"{step}_s"]), "GB/s", f"copy {1 / cost['copy_s']:.1f}")
    noise = random.Random(3)
    for shape, (files, size, piece_bytes) in SHAPES.items():
        with temporary_home() as work, fresh(options.binary) as corliss:
            folder = work / "files"
            for number in range(files):
                path = folder / f"{number // 1000}" / f"{number}.bin"
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as file:
                    for begin in range(0, size, 1 << 20):
                        file.write(noise.randbytes(min(1 << 20, size - begin)))
            commands = {
                "seal": ("add", "data", "add", str(folder), "--name", "it"),
                "open": ("lay out", "data", "get", "it", str(work / "laid-out")),
            }
            for step, (name, *command) in commands.items():
                before = cpu_seconds(corliss)
                corliss.cli(*command, timeout_s=600)
                whole = cpu_seconds(corliss) - before
                cost = (costs[piece_bytes][f"{step}_s"] - costs[piece_bytes]["copy_s"]) * files * size / 1e9
                report(f"{shape}, {name}: CPU for encryption", 100 * cost / whole, "%", f"{cost:.2f} of {whole:.2f} s")


if __name__ == "__main__":
    main()
