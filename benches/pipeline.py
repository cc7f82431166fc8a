"""What a step costs beside its own work: a chain of 40 trivial steps, and fan-outs to 1,000 of them.

For the chain the figures that others publish for 40 tasks of 10 ms are printed beside ours: Airflow 2.7
took 116 s, Windmill 4.4 s (as Windmill publishes them; neither was run here).
"""

import statistics
import tempfile
from pathlib import Path

from common import arguments, fresh, report

CHAIN = 40
FAN_OUT = (250, 500, 1000)


def chain(steps: int) -> str:
    lines = ["project: chain", "steps:"]
    lines += [
        f"  s{i}: {{run: 'true', cache: false" + (f", needs: [s{i - 1}]" if i else "") + "}" for i in range(steps)
    ]
    return "\n".join(lines) + "\n"


def fan_out(steps: int) -> str:
    lines = ["project: fan", "steps:"]
    lines += [f"  s{i}: {{run: 'true', cache: false, resources: {{cpus: 0.1}}}}" for i in range(steps)]
    return "\n".join(lines) + "\n"


def seconds(corliss, text: str) -> float:
    """From acceptance to end, as the server recorded them."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "corliss.yaml"
        file.write_text(text)
        run = corliss.wait_run(corliss.submit(file), timeout_s=600)
    if run["state"] != "succeeded":
        raise SystemExit(f"{run['id']} {run['state']}: {run.get('reason')}")
    return (run["ended_ms"] - run["created_ms"]) / 1000


def main() -> None:
    options = arguments(__doc__)
    with fresh(options.binary) as corliss:
        took = statistics.median(seconds(corliss, chain(CHAIN)) for _ in range(options.rounds))
        report(f"chain of {CHAIN} trivial steps", took, "s", "under 2; Airflow 116, Windmill 4.4")
        fans = {steps: seconds(corliss, fan_out(steps)) for steps in FAN_OUT}
    for steps, took in fans.items():
        report(f"fan-out of {steps} trivial steps", took, "s", f"{1000 * took / steps:.1f} ms a step")
    growth = (fans[FAN_OUT[-1]] / FAN_OUT[-1]) / (fans[FAN_OUT[0]] / FAN_OUT[0])
    report(f"cost of a step at {FAN_OUT[-1]} over at {FAN_OUT[0]}", growth, "ratio", "1 is linear")


if __name__ == "__main__":
    main()
