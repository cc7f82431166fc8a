"""Importing through the command line: a file from the web, what lies in a source, and what is refused."""

from __future__ import annotations

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Iterator

import pytest
import requests

from support.server import Corliss

CONTENT = bytes(range(256)) * 20_000


def asked(corliss: Corliss, *arguments: str) -> Any:
    return json.loads(corliss.cli("--json", *arguments))


def refused(corliss: Corliss, *arguments: str) -> str:
    done = corliss.run_cli(*arguments)
    assert done.returncode != 0, done
    return done.stderr


def got(corliss: Corliss, target: str, folder: Path) -> dict[str, bytes]:
    corliss.cli("data", "get", target, str(folder))
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Web(BaseHTTPRequestHandler):
    """A file that breaks off in the middle when it is first asked for, and knows ranges."""

    broken: set[str] = set()
    seen: list[tuple[str, str | None, str | None]] = []

    def do_GET(self) -> None:  # noqa: N802
        path = self.path.split("?")[0]
        asked_for = self.headers.get("range")
        Web.seen.append((path, asked_for, self.headers.get("authorization")))
        if path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("location", path.removeprefix("/moved"))
            self.send_header("content-length", "0")
            self.end_headers()
            return
        if path.startswith("/gone"):
            self.send_error(404)
            return
        start = int(asked_for.removeprefix("bytes=").removesuffix("-")) if asked_for else 0
        self.send_response(206 if start else 200)
        self.send_header("etag", '"one"')
        self.send_header("content-length", str(len(CONTENT) - start))
        if start:
            self.send_header("content-range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.end_headers()
        if path not in Web.broken:
            Web.broken.add(path)
            self.wfile.write(CONTENT[start : len(CONTENT) // 2])
            self.close_connection = True
            return
        self.wfile.write(CONTENT[start:])

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def web() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[tuple[Corliss, Path]]:
    """An installation of its own whose settings name a folder as a source."""
    folder = tmp_path / "lake"
    home = tmp_path / "home"
    home.mkdir()
    for name, text in {"may/a.txt": "one", "may/deep/b c.txt": "two", "other": "not asked for"}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (home / "config.toml").write_text(f'[sources.lake]\nurl = "file://{folder}"\n')
    installation = Corliss(home)
    try:
        installation.up()
        yield installation, folder
        installation.down()
    finally:
        installation.kill_everything()


def test_a_file_from_the_web_is_fetched_by_the_command_and_goes_on_where_it_broke_off(
    corliss: Corliss, web: str, tmp_path: Path
) -> None:
    name = f"web-{os.urandom(4).hex()}"
    address = f"{web}/moved/{name}.bin?signature=hunter2"
    done = asked(corliss, "data", "import", name, address, "--to", "raw/")
    assert done["created"] and done["files"] == 1 and done["size_bytes"] == len(CONTENT)
    assert got(corliss, name, tmp_path / "got") == {f"raw/{name}.bin": CONTENT}
    seen = [one for one in Web.seen if name in one[0]]
    assert any(asked_for for _, asked_for, _ in seen), "it went on in the middle"
    assert all(authorization is None for _, _, authorization in seen)
    commit = asked(corliss, "data", "log", name)["items"][0]
    assert commit["message"] == f"Import {web}/moved/{name}.bin"
    assert not asked(corliss, "data", "import", name, address, "--to", "raw")["created"]

    said = corliss.cli("data", "import", name, f"{web}/second.bin", "-m", "one more")
    assert "second.bin" in said and "downloaded" in said
    assert "404" in refused(corliss, "data", "import", name, f"{web}/gone.bin")
    assert "name of a file" in refused(corliss, "data", "import", name, f"{web}/")
    assert "name or password" in refused(corliss, "data", "import", name, "https://ada:hunter2@127.0.0.1/x")
    assert "[sources.NAME]" in refused(corliss, "data", "import", name, "s3://bucket/prefix")


def test_what_lies_in_a_source_is_imported_by_the_server_and_only_changes_again(
    lake: tuple[Corliss, Path], tmp_path: Path
) -> None:
    corliss, folder = lake
    listed = asked(corliss, "data", "sources")["items"]
    assert listed == [{"name": "lake", "kind": "folder", "place": str(folder)}]
    done = asked(corliss, "data", "import", "images", "lake/may", "--to", "raw", "-m", "May")
    assert (done["copied"], done["unchanged"], done["files"]) == (2, 0, 2)
    assert got(corliss, "images", tmp_path / "first") == {"raw/a.txt": b"one", "raw/deep/b c.txt": b"two"}
    (folder / "may" / "a.txt").write_text("ONE")
    again = asked(corliss, "data", "import", "images", "lake/may", "--to", "raw")
    assert (again["copied"], again["unchanged"], again["created"]) == (1, 1, True)
    assert "0 B copied; 2 unchanged" in corliss.cli("data", "import", "images", "lake/may", "--to", "raw")
    assert asked(corliss, "data", "log", "images")["items"][1]["message"] == "May"

    (folder / "may" / "link").symlink_to("/etc/passwd")
    assert "'may/link' is a link" in refused(corliss, "data", "import", "images", "lake/may")
    assert "nothing at 'nowhere'" in refused(corliss, "data", "import", "images", "lake/nowhere")
    assert "no source 'sea'" in refused(corliss, "data", "import", "images", "sea/may")

    operations = asked(corliss, "data", "operations")["items"]
    kinds = {(one["kind"], one["state"]) for one in operations}
    assert {("import", "done"), ("import", "failed")} <= kinds
    assert asked(corliss, "data", "check")["findings_total"] == 0
    assert asked(corliss, "data", "gc", "--dry-run")["dry_run"]
    kinds = [one["kind"] for one in asked(corliss, "data", "operations")["items"]]
    assert kinds[:2] == ["collect", "check"]
    assert "check" in corliss.cli("data", "operations")


def test_a_source_that_shares_files_with_the_home_stops_the_start(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text(f'[sources.lake]\nurl = "file://{tmp_path}"\n')
    installation = Corliss(home)
    try:
        done = installation.run_cli("up", "--listen", installation.listen)
        assert done.returncode != 0
        assert "share files" in done.stdout + done.stderr
    finally:
        installation.kill_everything()


@pytest.mark.parametrize("over_http", [False, True])
def test_files_are_linked_to_a_source_read_where_they_lie_and_stay_linked_in_a_working_copy(
    lake: tuple[Corliss, Path], tmp_path: Path, over_http: bool
) -> None:
    corliss, folder = lake
    big = os.urandom(6_000_000)
    (folder / "may" / "big.bin").write_bytes(big)
    if over_http:
        # Without its socket no folder is lent.
        (corliss.home / "run" / "folders").unlink()
    done = asked(corliss, "data", "import", "images", "lake/may", "--to", "raw", "--link")
    assert (done["linked"], done["copied"], done["files"]) == (3, 0, 3)
    assert "3 unchanged" in corliss.cli("data", "import", "images", "lake/may", "--to", "raw", "--link")
    shown = asked(corliss, "data", "show", "images@main")
    assert shown["linked_files"] == 3
    assert [(one["linked"]["source"], one["linked"]["key"]) for one in shown["entries"]] == [
        ("lake", "may/a.txt"),
        ("lake", "may/big.bin"),
        ("lake", "may/deep/b c.txt"),
    ]
    assert "lake/may/deep/b c.txt" in corliss.cli("data", "show", "images@main")
    assert asked(corliss, "data", "du")["linked"][0]["objects"] == 3
    files = {"raw/a.txt": b"one", "raw/big.bin": big, "raw/deep/b c.txt": b"two"}
    assert got(corliss, "images", tmp_path / "got") == files

    copy = tmp_path / "copy"
    corliss.cli("data", "checkout", "images", str(copy))
    assert asked(corliss, "data", "status", str(copy))["changes"] == []
    (copy / "own.txt").write_text("own")
    corliss.cli("data", "add", str(copy), "-m", "own")
    shown = asked(corliss, "data", "show", "images@main")
    assert (shown["linked_files"], shown["files"]) == (3, 4)
    assert asked(corliss, "data", "status", str(copy))["changes"] == []
    (copy / "raw" / "a.txt").write_text("ONE")
    assert [one["path"] for one in asked(corliss, "data", "status", str(copy))["changes"]] == ["raw/a.txt"]
    corliss.cli("data", "add", str(copy), "-m", "edited")
    shown = asked(corliss, "data", "show", "images@main")
    assert (shown["linked_files"], shown["files"]) == (2, 4)
    # Switched there and back.
    corliss.cli("data", "checkout", "images~1", str(copy))
    assert (copy / "raw" / "a.txt").read_text() == "one"
    assert asked(corliss, "data", "status", str(copy))["changes"] == []
    # A part of it.
    part = tmp_path / "part"
    corliss.cli("data", "checkout", "images", str(part), "--only", "raw/deep")
    (part / "raw" / "deep" / "more").write_text("more")
    corliss.cli("data", "add", str(part), "-m", "part")
    shown = asked(corliss, "data", "show", "images@main")
    assert (shown["linked_files"], shown["files"]) == (2, 5)

    assert asked(corliss, "data", "check")["links"]["broken_total"] == 0
    (folder / "may" / "big.bin").write_bytes(b"another")
    (folder / "may" / "deep" / "b c.txt").unlink()
    told = refused(corliss, "data", "get", "images", str(tmp_path / "broken"))
    assert "lake" in told and ("was changed since" in told or "is gone" in told)
    checked = corliss.run_cli("data", "check")
    assert checked.returncode != 0
    assert "raw/big.bin is linked to 'may/big.bin' of source 'lake', which was changed since" in checked.stdout
    assert "raw/deep/b c.txt is linked to 'may/deep/b c.txt' of source 'lake', which is gone" in checked.stdout
    assert "cannot be linked to" in refused(corliss, "data", "import", "x", "https://example.org/x", "--link")


def test_a_link_that_somebody_made_up_breaks_nothing(lake: tuple[Corliss, Path], tmp_path: Path) -> None:
    corliss, _ = lake
    headers = {"Authorization": f"Bearer {corliss.token}"}

    def commit(link: dict[str, Any]) -> requests.Response:
        body = "corliss-link 1\n" + json.dumps(link, separators=(",", ":"))
        blob = requests.post(f"{corliss.url}/api/v1/data/blobs", data=body, headers=headers, timeout=30).json()["id"]
        edits = [{"path": "p", "blob": blob, "link": True}]
        path = f"{corliss.url}/api/v1/data/datasets/forged/commits"
        return requests.post(path, json={"edits": edits}, headers=headers, timeout=30)

    link = {"source": "lake", "key": "other", "size_bytes": 1, "etag": "1"}
    for wrong in ({"size_bytes": 2**63 - 1}, {"size_bytes": 2**50 + 1}, {"key": "../home/root.key"}, {"key": "/etc/passwd"}, {"etag": ""}):
        assert commit(link | wrong).status_code == 400, wrong
    assert commit(link | {"size_bytes": 2**50}).status_code in (200, 201)
    assert asked(corliss, "data", "du")["versions_bytes"] == 0
    said = refused(corliss, "data", "get", "forged", str(tmp_path / "got"))
    assert "other" in said and not (tmp_path / "got").exists(), said
