"""The console in a real Chromium, on a server that holds the main job. The pages are driven by ui/e2e, which
makes a dataset of its own to browse, compare and merge, and an endpoint of its own to ask, watch and route otherwise;
screenshots of each are kept in test-results/console to be looked at."""

from __future__ import annotations

import shutil
import subprocess

from support.server import ROOT, Corliss

SHOTS = ROOT / "test-results/console"


def test_every_page_shows_the_main_job(house: Corliss, main_job: str, language_model: str) -> None:
    shutil.rmtree(SHOTS, ignore_errors=True)
    done = subprocess.run(
        ["npm", "run", "--silent", "e2e"], cwd=ROOT / "ui", timeout=600, check=False, text=True, capture_output=True,
        env=house.environment | {
            "CORLISS_E2E_URL": house.url, "CORLISS_E2E_TOKEN": house.token,
            "CORLISS_E2E_SHOTS": str(SHOTS), "CORLISS_E2E_FULL": "1",
        },
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    shots = sorted(SHOTS.glob("*.png"))
    assert len(shots) >= 8 and all(shot.stat().st_size > 5_000 for shot in shots), shots


def test_the_page_is_in_the_binary_and_safe(house: Corliss) -> None:
    import requests

    answer = requests.get(f"{house.url}/", timeout=30)
    assert answer.status_code == 200 and "<div id=" in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy or "default-src 'none'" in policy, policy
    # A page's address, typed into the browser, is answered by the same document.
    assert requests.get(f"{house.url}/runs", timeout=30).text == answer.text
