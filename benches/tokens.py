"""Tokens per second of SmolLM2-135M (Q4_1) through the gateway and the openai client: one client against
eight at once. Batched by llama.cpp itself, 2 cores gave 68 → 203 with AVX2 and 95 → 212 with AVX-512."""

import json
import statistics
import subprocess

from common import ROOT, arguments, fresh, report

MAX_TOKENS = 96


def tokens_per_s(corliss, clients: int) -> float:
    done = subprocess.run(
        [ROOT / ".venv/bin/python", ROOT / "examples/chat/chat.py", "--json",
         "--clients", str(clients), "--max-tokens", str(MAX_TOKENS)],
        env=corliss.client_environment(), capture_output=True, text=True, timeout=600, check=True,
    )
    return json.loads(done.stdout)["tokens_per_s"]


def main() -> None:
    options = arguments(__doc__)
    with fresh(options.binary) as corliss:
        corliss.wait_run(corliss.submit(ROOT / "examples/chat/corliss.yaml"))
        corliss.wait_endpoint("smollm2")
        tokens_per_s(corliss, 1)  # the first request pays for pages of the model's file
        one = statistics.median(tokens_per_s(corliss, 1) for _ in range(options.rounds))
        eight = statistics.median(tokens_per_s(corliss, 8) for _ in range(options.rounds))
    report("SmolLM2, 1 client", one, "tokens/s")
    report("SmolLM2, 8 clients", eight, "tokens/s")
    report("8 clients over 1", eight / one, "ratio", "at least 2")


if __name__ == "__main__":
    main()
