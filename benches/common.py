"""What the benchmarks share: a fresh server, and one line per figure."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import Iterator

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.server import Corliss, temporary_home  # noqa: E402


def arguments(description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/corliss")
    parser.add_argument("--rounds", type=int, default=3, help="the median of this many is printed")
    return parser.parse_args()


@contextlib.contextmanager
def fresh(binary: Path, settings: dict[str, str] | None = None, config: str = "") -> Iterator[Corliss]:
    """A server on a home of its own, up; stopped and removed at the end."""
    with temporary_home() as home:
        home.mkdir(parents=True, exist_ok=True)
        (home / "config.toml").write_text(config)
        corliss = Corliss(home, binary.resolve(), settings=settings)
        corliss.ready = corliss.up()
        try:
            yield corliss
            corliss.down()
        finally:
            corliss.kill_everything()


def report(figure: str, value: float, unit: str, bar: str = "") -> None:
    """One figure for people on standard error, and as one JSON object a line on standard output."""
    print(f"{figure:<46} {value:>10.2f} {unit:<10} {bar}", file=sys.stderr, flush=True)
    print(json.dumps({"figure": figure, "value": value, "unit": unit, "bar": bar}), flush=True)
