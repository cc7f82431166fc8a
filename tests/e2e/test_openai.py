"""A real language model through the unmodified openai client: chat, streaming, limits, refusals."""

from __future__ import annotations

import json
import subprocess
import sys

import openai
import pytest
from openai import OpenAI

from support.server import ROOT, Corliss, poll

MODEL = "smollm2"


@pytest.fixture
def served(house: Corliss, language_model: str) -> Corliss:
    assert language_model == MODEL
    return house


@pytest.fixture
def client(served: Corliss) -> OpenAI:
    return OpenAI(base_url=f"{served.url}/v1", api_key=served.token, max_retries=0, timeout=120)


def ask(client: OpenAI, text: str, **more):
    return client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": text}], **({"max_tokens": 24, "temperature": 0} | more)
    )


def test_the_endpoint_is_a_model(client: OpenAI) -> None:
    assert MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve(MODEL).id == MODEL


def test_chat_answers_with_usage(client: OpenAI) -> None:
    answer = ask(client, "What is 2+2?")
    assert "4" in answer.choices[0].message.content
    assert answer.choices[0].message.role == "assistant"
    assert answer.usage.prompt_tokens > 5
    assert 1 <= answer.usage.completion_tokens <= 24
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_stream_says_the_same_as_one_answer(client: OpenAI) -> None:
    whole = ask(client, "Count from one to five.")
    chunks = list(ask(client, "Count from one to five.", stream=True, stream_options={"include_usage": True}))
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == whole.choices[0].message.content
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert reasons == [whole.choices[0].finish_reason]
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert len([chunk for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]) > 3


def test_the_end_is_named(client: OpenAI) -> None:
    assert ask(client, "Tell me a long story.", max_tokens=5).choices[0].finish_reason == "length"
    stopped = ask(client, "Count: 1, 2, 3,", stop=[","], max_tokens=40)
    assert stopped.choices[0].finish_reason == "stop"
    assert "," not in stopped.choices[0].message.content


def test_a_seed_repeats_a_random_answer(client: OpenAI) -> None:
    same = [ask(client, "Invent a name for a ship.", temperature=1.0, seed=11).choices[0].message.content for _ in range(2)]
    assert same[0] == same[1]


def test_a_bias_forbids_and_prefers_tokens(client: OpenAI) -> None:
    def words(**more) -> str:
        return client.completions.create(
            model=MODEL, prompt="1, 2, 3, 4, 5, 6,", max_tokens=12, temperature=0, **more
        ).choices[0].text

    free = words()
    assert "7" in free
    told = client.completions.create(
        model=MODEL, prompt="1, 2, 3, 4, 5, 6,", max_tokens=12, temperature=0, extra_body={"repetition_penalty": 5.0}
    )
    assert told.choices[0].text != free, "every comma was seen before"
    once = words(presence_penalty=2.0, frequency_penalty=2.0)
    assert once.count(",") < free.count(",")
    # Of the first thousand ids none is as likely as to win on its own; a hundred added is.
    assert len(set(words(logit_bias={"900": 100}).split())) < len(set(free.split()))


def test_what_sampling_cannot_do_is_named(client: OpenAI) -> None:
    for name, value in (
        ("frequency_penalty", 2.5), ("presence_penalty", -3), ("min_p", 1.5), ("repetition_penalty", 0),
        ("logit_bias", {"9999999": 1}), ("logit_bias", {"1": 101}), ("logit_bias", {"x": 1}),
        ("logit_bias", {str(token): 1 for token in range(301)}),
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            ask(client, "x", extra_body={name: value})
        assert refused.value.param == name, refused.value.body


def test_completions(client: OpenAI) -> None:
    answer = client.completions.create(model=MODEL, prompt="The capital of France is", max_tokens=8, temperature=0)
    assert "Paris" in answer.choices[0].text
    parts = client.completions.create(
        model=MODEL, prompt="The capital of France is", max_tokens=8, temperature=0, stream=True
    )
    assert "".join(choice.text for part in parts for choice in part.choices) == answer.choices[0].text


def test_eight_clients_stream_at_once(served: Corliss) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples/chat/chat.py"), "--json", "--clients", "8", "--max-tokens", "24"],
        env=served.client_environment(), capture_output=True, text=True, timeout=300, check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)["answers"]
    assert len(answers) == 8 and all(answer["completion_tokens"] > 0 for answer in answers)
    assert len({answer["text"] for answer in answers}) == 8, "clients got one another's answers"


def test_a_prompt_longer_than_the_context_is_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, "word " * 40_000)
    assert refused.value.code == "context_length_exceeded", refused.value.body
    assert "context" in str(refused.value).lower() or "tokens" in str(refused.value).lower()
    assert ask(client, "Hello").choices[0].message.content


def test_wrong_names_tokens_and_values_raise_the_clients_own_errors(served: Corliss, client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="nobody", messages=[{"role": "user", "content": "x"}])
    with pytest.raises(openai.AuthenticationError):
        ask(OpenAI(base_url=f"{served.url}/v1", api_key="wrong", max_retries=0), "x")
    for wrong in ({"max_tokens": -1}, {"temperature": 9.0}, {"top_p": 7.0}, {"n": 0}):
        with pytest.raises(openai.BadRequestError):
            ask(client, "x", **wrong)
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model=MODEL, messages=[])


def test_a_client_that_hangs_up_stops_the_decoding(served: Corliss, client: OpenAI) -> None:
    stream = ask(client, "Write a very long story about the sea.", stream=True, max_tokens=1500)
    for _ in range(3):
        next(iter(stream))
    stream.close()

    def idle() -> bool:
        replicas = served.api(f"/endpoints/{MODEL}")["replicas"]
        return all(replica["in_flight"] == 0 for replica in replicas)

    poll("the decoding to stop", idle, timeout_s=10)
