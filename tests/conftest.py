"""Fixtures: the real binary on a fresh home, and the examples in a folder of their own."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Iterator

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from support import processes  # noqa: E402
from support.server import ROOT, Corliss, default_binary, temporary_home  # noqa: E402


def pytest_configure(config: pytest.Config) -> None:
    if not default_binary().exists():
        raise pytest.UsageError(f"{default_binary()} does not exist: cargo build -p corliss, or set CORLISS_BIN")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    """Remembers on the test whether it failed, so that the fixture can print the server's log."""
    report = yield
    if report.failed:
        item.stash.setdefault(FAILED, True)
    return report


FAILED = pytest.StashKey[bool]()


def _serve(request: pytest.FixtureRequest, **settings: str) -> Iterator[Corliss]:
    with temporary_home() as home:
        # More than a small machine has, so that an endpoint of one test never makes another's job wait.
        corliss = Corliss(home, settings={"CORLISS_MACHINE_CPUS": "8", **settings})
        try:
            corliss.up()
            yield corliss
            if processes.of_home(home):
                corliss.down()
            left = processes.wait_until_none(home)
            assert not left, f"processes that outlived `corliss down`: {left}"
        finally:
            if request.node.stash.get(FAILED, False) or request.session.testsfailed:
                print(f"--- last lines of the server's log\n{corliss.server_log()}")
            corliss.kill_everything()


@pytest.fixture
def corliss(request: pytest.FixtureRequest) -> Iterator[Corliss]:
    """A server of this test's own; after the test no process of its home may be left."""
    yield from _serve(request)


@pytest.fixture
def four(request: pytest.FixtureRequest) -> Iterator[Corliss]:
    """A server of this test's own, whose machine is declared to have four CPUs and four accelerators."""
    yield from _serve(request, CORLISS_MACHINE_CPUS="4", CORLISS_MACHINE_ACCELERATORS="4")


@pytest.fixture(scope="module")
def shared(request: pytest.FixtureRequest) -> Iterator[Corliss]:
    """A server for all tests of a file, for what takes long to set up."""
    yield from _serve(request)


@pytest.fixture(scope="session")
def house(request: pytest.FixtureRequest) -> Iterator[Corliss]:
    """One server for all tests that look at the main job, which takes a minute to be done."""
    yield from _serve(request)


@pytest.fixture(scope="session")
def main_job(house: Corliss, digits: Path) -> str:
    """The undisturbed main job: its run's id. The endpoint `digits` is ready."""
    run = house.submit(digits / "corliss.yaml")
    detail = house.wait_run(run, timeout_s=300)
    assert detail["state"] == "succeeded", detail
    house.wait_endpoint("digits")
    return run


@pytest.fixture(scope="session")
def language_model(house: Corliss) -> str:
    """Name of an endpoint that serves a real language model."""
    detail = house.wait_run(house.submit(ROOT / "examples/chat/corliss.yaml"))
    assert detail["state"] == "succeeded", detail
    house.wait_endpoint("smollm2", timeout_s=180)
    return "smollm2"


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """examples/digits with its data, copied so that a test may edit it."""
    folder = tmp_path_factory.mktemp("examples") / "digits"
    shutil.copytree(ROOT / "examples/digits", folder, ignore=shutil.ignore_patterns("data", "out", "__pycache__"))
    import runpy

    runpy.run_path(str(folder / "get_data.py"), run_name="__main__")
    return folder


@pytest.fixture
def project(tmp_path: Path):
    """Writes a project: `project(yaml, **files)` answers the path of its corliss.yaml."""

    def write(text: str, **files: str) -> Path:
        folder = tmp_path / f"project-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        (folder / "corliss.yaml").write_text(text)
        for name, content in files.items():
            (folder / name.replace("__", ".")).write_text(content)
        return folder / "corliss.yaml"

    return write
