"""A real language model through OpenAI's own client for Node.js, as npm has it. What it checks is in tests/node."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.server import ROOT, Corliss, poll


@pytest.fixture(scope="module")
def node() -> str:
    """The folder that the client is installed in."""
    done = subprocess.run([str(ROOT / "scripts/node-env")], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_client_of_node_works_as_it_comes(house: Corliss, language_model: str, node: str) -> None:
    done = subprocess.run(
        ["node", "--test", "--test-reporter=spec"], cwd=node, capture_output=True, text=True, timeout=300, check=False,
        env=house.client_environment() | {"CORLISS_TEST_MODEL": language_model},
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    # A runner that finds no test is content as well.
    tests = (Path(node) / "openai.test.mjs").read_text().count("\ntest(")
    assert tests and f"pass {tests}\n" in done.stdout, done.stdout[-1000:]

    def idle() -> bool:
        return all(replica["in_flight"] == 0 for replica in house.api(f"/endpoints/{language_model}")["replicas"])

    poll("what the client left to end", idle, timeout_s=10)
