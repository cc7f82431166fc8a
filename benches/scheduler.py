"""What a decision of the scheduler costs on the shapes that peers publish: Armada's (1,000 nodes, 10 queues, 320,000 jobs:
1.27 to 1.34 s and 1.65 GiB a round, pull request 2880), 10,000 nodes with 10,000 gangs, Kueue's own load (15,000 workloads, 351 s
where 66 s is the bound, test/performance/scheduler), and a simulated month of 100,000 jobs. The peers' figures are those that
they publish, on their machines; one core is used here. `crates/sim/cluster/examples/scheduler-rounds.rs` is what is run."""

from __future__ import annotations

import argparse
import json
import subprocess

from common import ROOT, report


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    command = ["cargo", "run", "--release", "--locked", "--quiet", "-p", "corliss-sim-cluster", "--example", "scheduler-rounds"]
    for line in subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines():
        report(**json.loads(line))


if __name__ == "__main__":
    main()
