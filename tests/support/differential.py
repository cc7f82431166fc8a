"""Scenarios of calls that a real `mlflow server` and Corliss are asked alike, and what of their answers must be the same.

A scenario is a text file, one call a line:

    [NAME=path.in.answer,…] METHOD path {"arguments": "as JSON"}

A path without a leading slash lies under /api/2.0/mlflow/. Arguments are the query of a GET and the body of the others; a
JSON text is a body of bytes. `${NAME}` is what an earlier call answered; `${x*8001}` in a text is that many times `x`; and
{"repeat": 1001, "item": …} in a list is that many items, in which `${#}` counts from 0. A line `#: slug status [code]` says
that Corliss answers the next call otherwise than MLflow, and how: the slug leads to the reason in `DIFFERENCES`. Other lines
that begin with # are for the reader.
"""

from __future__ import annotations

import base64
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

API = "/api/2.0/mlflow/"
# A time of the wall clock, in milliseconds: later than any that a scenario names.
WALL_MS = 1_600_000_000_000
LARGEST = 1.7e308
# Characters of an object that is written once.
WORTH_PACKING = 150
# Lists whose order says nothing, by the path of names above them.
UNORDERED = re.compile(r"(^|\.)(tags|params|data\.metrics|dataset_inputs|model_inputs|model_outputs|dataset_summaries)$")
CALL = re.compile(r"(?:\[(?P<names>[^\]]*)\] )?(?P<method>[A-Z]+) (?P<path>\S+)(?: (?P<args>.*))?")


@dataclass(frozen=True)
class Step:
    """One call, with what Corliss answers if that is not what MLflow does."""

    line: int
    names: dict[str, str]
    method: str
    path: str
    args: Any
    slug: str | None
    status: int | None
    code: str | None


def read(file: Path) -> list[Step]:
    steps: list[Step] = []
    different: list[str] = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if line.startswith("#: "):
            different = line[3:].split()
            continue
        if not line or line.startswith("#"):
            continue
        found = CALL.fullmatch(line)
        if found is None:
            raise ValueError(f"{file.name}:{number} is no call: {line[:100]}")
        try:
            args = json.loads(found["args"] or "{}")
        except ValueError as wrong:
            raise ValueError(f"{file.name}:{number}: {wrong}") from wrong
        names = dict(pair.split("=", 1) for pair in found["names"].split(",")) if found["names"] else {}
        slug, status, code = (different + [None] * 3)[:3]
        steps.append(Step(number, names, found["method"], found["path"], args, slug, int(status) if status else None, code))
        different = []
    return steps


def filled(value: Any, names: dict[str, str], index: int | None = None) -> Any:
    """The arguments as they are sent."""
    if isinstance(value, str):
        if value == "${#}":
            return index
        value = re.sub(r"\$\{(.)\*(\d+)\}", lambda found: found[1] * int(found[2]), value)
        if index is not None:
            value = value.replace("${#}", str(index))
        return re.sub(r"\$\{([A-Z]\w*)\}", lambda found: names[found[1]], value)
    if isinstance(value, dict):
        return {filled(key, names, index): filled(item, names, index) for key, item in value.items()}
    if isinstance(value, list):
        items = []
        for item in value:
            if isinstance(item, dict) and set(item) == {"repeat", "item"}:
                items.extend(filled(item["item"], names, count) for count in range(item["repeat"]))
            else:
                items.append(filled(item, names, index))
        return items
    return value


def ask(base: str, token: str | None, method: str, path: str, args: Any) -> tuple[int, Any]:
    """One call; answers its status and its JSON, or its text where it was not JSON."""
    url, body, headers = base + (path if path.startswith("/") else API + path), None, {}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    if isinstance(args, str):
        body = args.encode()
        headers["content-type"] = "application/octet-stream" if "artifacts/" in path else "application/json"
    elif method == "GET":
        words = {
            name: [_word(one) for one in item] if isinstance(item, list) else _word(item) for name, item in args.items()
        }
        query = urllib.parse.urlencode(words, doseq=True)
        url = f"{url}?{query}" if query else url
    else:
        body = json.dumps(args).encode()
        headers["content-type"] = "application/json"
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            status, raw = answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        status, raw = refused.code, refused.read()
    try:
        return status, json.loads(raw or b"{}")
    except ValueError:
        return status, raw.decode(errors="replace")


def _word(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, bool) else value


def run(steps: list[Step], base: str, token: str | None = None) -> list[dict[str, Any]]:
    """Asks a server the whole scenario. What it answers is put down without what differs from one server to the next:
    ids under the names that the scenario gives them, and times of the wall clock as `now`."""
    names: dict[str, str] = {}
    answers = []
    for step in steps:
        # Two things that are made one after the other are not made in the same millisecond.
        time.sleep(0.002)
        path = filled(step.path, {name: urllib.parse.quote(value, safe="") for name, value in names.items()})
        status, answer = ask(base, token, step.method, path, filled(step.args, names))
        if status == 200:
            for name, place in step.names.items():
                names[name] = str(_at(answer, place))
        answers.append({"call": f"{step.method} {step.path}", "status": status, "answer": _plain(answer, names)})
    return answers


def _at(answer: Any, place: str) -> Any:
    for name in place.split("."):
        answer = answer[int(name)] if isinstance(answer, list) else answer[name]
    return answer


def _plain(value: Any, names: dict[str, str], place: str = "") -> Any:
    if isinstance(value, dict):
        if place.endswith("next_page_token"):
            return value
        items = {name: _plain(item, names, f"{place}.{name}" if place else name) for name, item in value.items()}
        # What is empty may be left out; and there is one workspace, which only MLflow names.
        return {
            name: item
            for name, item in items.items()
            if item not in ("", [], {}) and name != "workspace" and (name, item) != ("file_size", 0)
        }
    if isinstance(value, list):
        items = [_plain(item, names, place) for item in value]
        if place == "metrics" and all("run_id" in item for item in items):
            # Runs come in the order of their ids, which are random.
            return sorted(items, key=lambda item: item["run_id"])
        return sorted(items, key=lambda item: json.dumps(item, sort_keys=True)) if UNORDERED.search(place) else items
    if isinstance(value, str):
        if place.endswith("next_page_token"):
            return _token(value)
        if value.startswith(("[{", '{"')):
            return _json(value)
        for name, known in names.items():
            # Numbers of experiments are the same on every fresh server.
            value = value if known.isdigit() else value.replace(known, f"${{{name}}}")
        # Long texts that were sent and come back need not be kept.
        return re.sub(r"(.)\1{99,}", lambda run_: f"${{{run_[1]}*{len(run_[0])}}}", value)
    if isinstance(value, float) and abs(value) >= LARGEST:
        # MLflow keeps the infinities as the largest numbers.
        return "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, int) and not isinstance(value, bool) and WALL_MS < value < 10 * WALL_MS:
        return "now"
    return value


def _json(text: str) -> str:
    """JSON in a text, spaced and ordered in one way, and without what is null."""

    def without_nulls(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: without_nulls(item) for name, item in value.items() if item is not None}
        return [without_nulls(item) for item in value] if isinstance(value, list) else value

    try:
        return json.dumps(without_nulls(json.loads(text)), sort_keys=True)
    except ValueError:
        return text


def _token(token: str) -> Any:
    """What a page token says of its place; the rest of it is the server's affair."""
    try:
        return {"offset": json.loads(base64.b64decode(token))["offset"]}
    except (ValueError, KeyError):
        return "a token"


def packed(value: Any, seen: dict[str, int]) -> Any:
    """The same with `{"seen": n}` in place of each object that stood there before: searches find the same runs again and
    again."""
    if isinstance(value, list):
        return [packed(item, seen) for item in value]
    if not isinstance(value, dict):
        return value
    text = json.dumps(value, sort_keys=True)
    if text in seen:
        return {"seen": seen[text]}
    items = {name: packed(item, seen) for name, item in value.items()}
    if len(text) >= WORTH_PACKING:
        seen[text] = len(seen)
    return items


def unpacked(value: Any, seen: list[Any]) -> Any:
    if isinstance(value, list):
        return [unpacked(item, seen) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"seen"}:
        return seen[value["seen"]]
    items = {name: unpacked(item, seen) for name, item in value.items()}
    if len(json.dumps(items)) >= WORTH_PACKING:
        seen.append(items)
    return items


def write(recorded: list[dict[str, Any]], file: Path) -> None:
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in packed(recorded, {}))
    file.write_text(f"[\n{lines}\n]\n")


def load(file: Path) -> list[dict[str, Any]]:
    return unpacked(json.loads(file.read_text()), [])


def is_same(theirs: dict[str, Any], ours: dict[str, Any]) -> bool:
    """A refusal is the same if status and code are, and its sentence begins as MLflow's: Corliss may say what to do besides."""
    if theirs["status"] != ours["status"]:
        return False
    if theirs["status"] < 400:
        return theirs["answer"] == ours["answer"]
    if not isinstance(theirs["answer"], dict) or not isinstance(ours["answer"], dict):
        return theirs["answer"] == ours["answer"]
    said, told = theirs["answer"].get("message", ""), ours["answer"].get("message", "")
    return theirs["answer"].get("error_code") == ours["answer"].get("error_code") and _unordered(told).startswith(
        _unordered(said)
    )


def _unordered(message: str) -> str:
    """Python writes a set in another order each time."""
    return re.sub(r"\{('[^{}]*')\}", lambda found: "{" + ", ".join(sorted(found[1].split(", "))) + "}", message)
