"""Time from `corliss up` on a fresh home to ready, and the memory of the server that has nothing to do."""

import statistics
import time
from pathlib import Path

from common import arguments, fresh, report

IDLE_S = 5.0


def resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) * 1024 / 1e6


def main() -> None:
    options = arguments(__doc__)
    ready, idle = [], []
    for _ in range(options.rounds):
        with fresh(options.binary) as corliss:
            ready.append(corliss.ready["ready_ms"] / 1000)
            time.sleep(IDLE_S)
            idle.append(resident_mb(corliss.server().pid))
    report("time to ready, fresh home", statistics.median(ready), "s", "under 1")
    report("memory of the idle server", statistics.median(idle), "MB", "under 120")


if __name__ == "__main__":
    main()
