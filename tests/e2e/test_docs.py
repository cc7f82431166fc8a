"""Documentation that can be compared with the binary is compared with it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from support.server import ROOT, default_binary


def test_the_page_of_the_command_line_is_its_help() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/cli-reference", "--check", "--binary", default_binary()],
        capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_setting_is_on_its_page() -> None:
    source = (ROOT / "crates/app/server/src/config.rs").read_text()
    keys = re.findall(r'\(\s*"([a-z]+\.[a-z_]+)",\s*"', source)
    assert len(keys) >= 5, "the list of settings has moved"
    page = (ROOT / "docs/reference/settings.md").read_text()
    for key in keys:
        section, name = key.split(".")
        assert f"`[{section}] {name}`" in page, f"{key} is missing in docs/reference/settings.md"


def test_links_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / Path(target)).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_the_page_of_mlflows_routes_is_what_is_answered() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/mlflow-routes", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
