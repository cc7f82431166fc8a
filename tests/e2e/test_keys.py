"""The keys that seal what is stored, through the command line: rotated, and destroyed."""

from __future__ import annotations

import json
from pathlib import Path

from support.server import Corliss, poll


def packs(corliss: Corliss) -> dict[str, bytes]:
    folder = corliss.home / "blobs" / "packs"
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def laid_out(corliss: Corliss) -> list[Path]:
    return [path for path in (corliss.home / "work/inputs").rglob("*") if path.is_file()]


def test_new_keys_touch_no_data_and_destroyed_ones_end_it(corliss: Corliss, project, tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    (made / "secret").write_text("something that is found in the clear nowhere\n" * 9)
    corliss.cli("data", "add", str(made), "--name", "kept")
    before = packs(corliss)
    assert before and not any(b"in the clear" in sealed for sealed in before.values())
    corliss.cli("admin", "keys", "rotate")
    assert packs(corliss) == before
    (made / "more").write_text("sealed with the new key")
    corliss.cli("data", "add", str(made), "--name", "kept")
    corliss.cli("data", "get", "kept", str(tmp_path / "got"))
    assert (tmp_path / "got" / "secret").read_text() == (made / "secret").read_text()

    file = project("project: reads\ndata: {raw: raw}\nsteps: {read: {run: 'ls $CORLISS_INPUT_RAW', inputs: [raw]}}\n")
    (file.parent / "raw").mkdir()
    (file.parent / "raw/rows").write_text("of an ended run\n")
    assert corliss.wait_run(corliss.submit(file))["state"] == "succeeded"
    corliss.cli("admin", "keys", "destroy", "--tenant", "default", "--dry-run")
    corliss.cli("data", "check")
    assert "rows" in {path.name for path in laid_out(corliss)}
    # Nobody is there to be asked, and only the tenant's own name will do.
    assert corliss.run_cli("admin", "keys", "destroy", "--tenant", "default").returncode == 2
    assert corliss.run_cli("admin", "keys", "destroy", "--tenant", "other", "--yes").returncode != 0
    corliss.cli("data", "check")

    corliss.cli("admin", "keys", "destroy", "--tenant", "default", "--yes")
    poll("what was laid out for runs to go", lambda: not laid_out(corliss))
    names = ["kept", "raw", "reads.code"]
    for _ in range(2):
        done = corliss.run_cli("data", "get", "kept", str(tmp_path / "gone"))
        assert done.returncode != 0 and "were destroyed by local-admin" in done.stderr, done
        assert not (tmp_path / "gone").exists()
        refused = corliss.run_cli("data", "add", str(made), "--name", "kept")
        assert refused.returncode != 0 and "were destroyed" in refused.stderr, refused
        assert [one["name"] for one in json.loads(corliss.cli("--json", "data", "list"))["items"]] == names
        corliss.kill_server()
        corliss.up()
    assert "were destroyed" in corliss.run_cli("admin", "keys", "list").stderr
