"""Finds the processes of one Corliss home in /proc, so that a test can kill one and see that none stays."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A live process (zombies are not listed)."""

    pid: int
    parent: int
    arguments: tuple[str, ...]

    @property
    def verb(self) -> str:
        """The subcommand of a corliss process: up, shim, engine; else the program's name."""
        name = Path(self.arguments[0]).name if self.arguments else ""
        if name.startswith("corliss") and len(self.arguments) > 1:
            return self.arguments[1]
        return name

    def kill(self, sent: int = signal.SIGKILL) -> None:
        try:
            os.kill(self.pid, sent)
        except ProcessLookupError:
            pass


def of_home(home: Path) -> list[Process]:
    """Every process that names the home in its command line, its environment or its working folder."""
    marker, found = str(home).encode(), []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        folder = Path(entry.path)
        try:
            state, parent = (folder / "stat").read_text().rpartition(") ")[2].split()[:2]
            arguments = (folder / "cmdline").read_bytes()
            described = arguments + (folder / "environ").read_bytes() + os.fsencode(os.readlink(folder / "cwd"))
        except OSError:
            continue  # gone meanwhile, or another user's
        if state != "Z" and marker in described:
            words = tuple(word.decode(errors="replace") for word in arguments.split(b"\0") if word)
            found.append(Process(int(entry.name), int(parent), words))
    return found


def wait_until_none(home: Path, timeout_s: float = 20.0) -> list[Process]:
    """Waits for the home's processes to end; answers those that did not."""
    deadline = time.monotonic() + timeout_s
    while (left := of_home(home)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left
