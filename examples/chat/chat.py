"""Streams chat from the endpoint `smollm2` to several clients at once, through the openai package.

The client finds the server by OPENAI_BASE_URL and OPENAI_API_KEY, which `eval "$(corliss env)"` sets.
Ends with exit code 1 if any client got no text.
"""

import argparse
import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from openai import OpenAI

QUESTIONS = [
    "Why is the sky blue?",
    "Name three uses of a steam engine.",
    "Explain what a valve does.",
    "Write two lines about autumn.",
    "What is a flywheel?",
    "Give one tip for learning to swim.",
    "Why do cats purr?",
    "What is bread made of?",
]


@dataclass
class Answer:
    """What one client saw. Seconds are counted from the moment it asked."""

    question: str
    text: str
    first_token_s: float
    total_s: float
    completion_tokens: int
    finish_reason: str


def ask(client: OpenAI, model: str, question: str, max_tokens: int, together: threading.Barrier) -> Answer:
    together.wait()
    started = time.monotonic()
    stream = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": question}], max_tokens=max_tokens,
        temperature=0.0, stream=True, stream_options={"include_usage": True},
    )
    parts, first, tokens, reason = [], 0.0, 0, ""
    for chunk in stream:
        if chunk.usage:
            tokens = chunk.usage.completion_tokens
        for choice in chunk.choices:
            reason = choice.finish_reason or reason
            if choice.delta.content:
                first = first or time.monotonic() - started
                parts.append(choice.delta.content)
    return Answer(question, "".join(parts), first, time.monotonic() - started, tokens, reason)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="smollm2", help="name of the endpoint")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=48)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    arguments = parser.parse_args()

    if "OPENAI_BASE_URL" not in os.environ:
        parser.error('OPENAI_BASE_URL is not set; first: eval "$(corliss env)"')
    client = OpenAI()
    together = threading.Barrier(arguments.clients)
    started = time.monotonic()
    with ThreadPoolExecutor(arguments.clients) as pool:
        futures = [
            pool.submit(ask, client, arguments.model, QUESTIONS[i % len(QUESTIONS)], arguments.max_tokens, together)
            for i in range(arguments.clients)
        ]
        answers = [future.result() for future in futures]
    wall_s = time.monotonic() - started
    tokens = sum(answer.completion_tokens for answer in answers)

    if arguments.json:
        print(json.dumps({
            "clients": arguments.clients, "wall_s": wall_s, "completion_tokens": tokens,
            "tokens_per_s": tokens / wall_s, "answers": [asdict(answer) for answer in answers],
        }))
    else:
        for answer in answers:
            line = " ".join(answer.text.split())
            print(f"{answer.question}\n    {line}")
            print(f"    first token after {answer.first_token_s:.2f} s, {answer.completion_tokens} tokens in {answer.total_s:.2f} s")
        print(f"{arguments.clients} clients at once: {tokens} tokens in {wall_s:.2f} s, {tokens / wall_s:.0f} per second")
    return 0 if all(answer.text.strip() for answer in answers) else 1


if __name__ == "__main__":
    sys.exit(main())
