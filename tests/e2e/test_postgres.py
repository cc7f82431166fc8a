"""The whole server with its metadata in PostgreSQL: a run goes on after kill -9."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Iterator

import pytest

from support.postgres import postgres
from support.server import Corliss, poll, temporary_home


@pytest.fixture
def corliss() -> Iterator[Corliss]:
    with postgres() as url, temporary_home() as home:
        server = Corliss(home, settings={"CORLISS_DATABASE_URL": url})
        try:
            server.up()
            yield server
            server.down()
        finally:
            server.kill_everything()


def test_a_run_goes_on_after_kill_9(corliss: Corliss, project, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    file = project(f"""
project: kept
steps:
  first: {{run: "echo first >> {marks}; echo x > $CORLISS_OUTPUT_A/x", outputs: [a]}}
  second: {{run: "sleep 1; echo second >> {marks}", inputs: [a]}}
""")
    run = corliss.submit(file)
    poll("the first step", lambda: corliss.step(run, "first")["state"] == "succeeded")
    corliss.kill_server()
    corliss.up()
    detail = corliss.wait_run(run)
    assert detail["state"] == "succeeded", detail
    assert marks.read_text() == "first\nsecond\n"
    assert "PostgreSQL" in json.loads(corliss.cli("status", "--json"))["database"]
    assert not (corliss.home / "meta.db").exists()
