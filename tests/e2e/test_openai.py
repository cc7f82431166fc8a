"""A real language model through the unmodified openai client: chat, streaming, limits, refusals."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import openai
import pytest
from openai import OpenAI
from prometheus_client.parser import text_string_to_metric_families

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


def test_what_was_done_is_told_as_metrics_and_in_the_requests_record(served: Corliss, client: OpenAI) -> None:
    def metrics() -> dict[tuple[str, str], float]:
        status, text = served.request("GET", "/metrics")
        assert status == 200
        families = text_string_to_metric_families(text)
        named = [(sample.name, sample.labels, sample.value) for family in families for sample in family.samples]
        return {(name, labels.get("le") or labels.get("finished_reason") or ""): value
                for name, labels, value in named if labels.get("model_name") == MODEL}

    before = metrics()
    answer = ask(client, "Tell me of the sea.", max_tokens=8)
    after = metrics()
    rose = {key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0)}
    assert rose["vllm:generation_tokens_total", ""] == answer.usage.completion_tokens == 8
    assert rose["vllm:prompt_tokens_total", ""] == answer.usage.prompt_tokens
    assert rose["vllm:request_success_total", "length"] == 1
    for name in ["time_to_first_token", "e2e_request_latency", "request_queue_time", "request_prefill_time", "request_decode_time"]:
        assert rose[f"vllm:{name}_seconds_count", ""] == 1, name
    # Eight tokens are seven steps from one to the next.
    gaps = "vllm:inter_token_latency_seconds"
    assert rose[f"{gaps}_count", ""] == rose[f"{gaps}_bucket", "+Inf"] == 7 and rose[f"{gaps}_sum", ""] > 0
    assert 0 <= after["vllm:kv_cache_usage_perc", ""] <= 1 and after["vllm:num_requests_running", ""] == 0
    [engine] = served.api(f"/endpoints/{MODEL}/stats")["engines"]
    assert engine["sequences_max"] >= 1 and engine["running"] == 0 and sum(engine["token_gap_buckets"]) >= 7
    assert engine["batched_total"] >= engine["batches_total"] >= 8
    record = served.api(f"/endpoints/{MODEL}/requests?limit=1")["items"][0]
    assert (record["completion_tokens"], record["outcome"], record["attempts"]) == (8, "answered", 1)
    assert record["queue_us"] + record["prefill_us"] + record["decode_us"] <= record["total_us"]
    assert record["batch_mean"] >= 1 and record["prefill_us"] <= record["first_us"]
    assert served.request("GET", "/metrics", token=None)[0] == 401


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


def test_several_answers_to_several_prompts(client: OpenAI) -> None:
    prompts = ["The capital of France is", "The capital of Italy is"]
    answer = client.completions.create(model=MODEL, prompt=prompts, n=2, max_tokens=8, temperature=0)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert ["Paris" in choice.text for choice in answer.choices] == [True, True, False, False]
    alone = [client.completions.create(model=MODEL, prompt=prompt, max_tokens=8, temperature=0) for prompt in prompts]
    assert answer.usage.prompt_tokens == sum(one.usage.prompt_tokens for one in alone)
    assert answer.usage.completion_tokens == 2 * sum(one.usage.completion_tokens for one in alone)

    named = ask(client, "Invent a name for a ship.", n=3, temperature=1.2, seed=5)
    texts = [choice.message.content for choice in named.choices]
    assert len(set(texts)) > 1, "every answer has a stream of its own"
    again = ask(client, "Invent a name for a ship.", temperature=1.2, seed=5)
    assert texts[0] == again.choices[0].message.content

    parts: dict[int, str] = {}
    for chunk in ask(client, "Count from one to five.", n=2, stream=True):
        for choice in chunk.choices:
            parts[choice.index] = parts.get(choice.index, "") + (choice.delta.content or "")
    whole = ask(client, "Count from one to five.").choices[0].message.content
    assert parts == {0: whole, 1: whole}


def test_a_bad_prompt_among_good_ones_fails_by_place(client: OpenAI) -> None:
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as refused:
            client.completions.create(model=MODEL, prompt=[[1, 2], [3, 9_999_999]], max_tokens=4, stream=stream)
        assert refused.value.param == "prompt[1][1]", refused.value.body
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, "x", max_tokens=1, max_completion_tokens=2)
    assert "max_completion_tokens" in str(refused.value)
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, "x", n=1_000_000)
    assert refused.value.param == "n"


def scores(client: OpenAI, prompts: list, context_tokens: list[int]) -> list[tuple[float, bool]]:
    """As lm-eval's local-completions asks and reads: one token is generated, and left out."""
    answer = client.completions.create(
        model=MODEL, prompt=prompts, max_tokens=1, temperature=0, logprobs=1, echo=True, seed=1234
    )
    found = []
    for choice, length in zip(sorted(answer.choices, key=lambda choice: choice.index), context_tokens, strict=True):
        own = choice.logprobs.token_logprobs[length:-1]
        likeliest = choice.logprobs.top_logprobs[length:-1]
        greedy = all(one == max(top.values()) for one, top in zip(own, likeliest, strict=True))
        found.append((sum(own), greedy))
    return found


def test_a_prompt_is_echoed_with_its_log_probabilities(client: OpenAI) -> None:
    context = "The capital of France is"
    echoed = client.completions.create(model=MODEL, prompt=context, max_tokens=0, echo=True, logprobs=2)
    [choice] = echoed.choices
    shown = choice.logprobs
    assert (choice.text, choice.finish_reason) == (context, "length")
    assert "".join(shown.tokens) == context
    assert [len("".join(shown.tokens[:at])) for at in range(len(shown.tokens))] == shown.text_offset
    assert (shown.token_logprobs[0], shown.top_logprobs[0]) == (None, None)
    assert all(value <= 0 for value in shown.token_logprobs[1:])
    assert (echoed.usage.prompt_tokens, echoed.usage.completion_tokens) == (len(shown.tokens), 0)
    plain = client.completions.create(model=MODEL, prompt=context, max_tokens=4, temperature=0, echo=True)
    assert plain.choices[0].text.startswith(context) and plain.choices[0].logprobs is None
    parts = client.completions.create(model=MODEL, prompt=context, max_tokens=4, temperature=0, echo=True, stream=True)
    assert "".join(choice.text for part in parts for choice in part.choices) == plain.choices[0].text


def test_what_the_model_would_say_scores_as_greedy_and_nonsense_does_not(client: OpenAI) -> None:
    context = "The capital of France is"
    said = client.completions.create(model=MODEL, prompt=context, max_tokens=2, temperature=0, logprobs=0).choices[0]
    assert said.text == " Paris."
    length = len(
        client.completions.create(model=MODEL, prompt=context, max_tokens=0, echo=True, logprobs=0).choices[0].logprobs.tokens
    )
    (own, greedy), (other, chance) = scores(client, [context + said.text, context + " banana the quickly"], [length] * 2)
    assert greedy and not chance
    assert own == pytest.approx(sum(said.logprobs.token_logprobs), abs=0.2)
    assert other < own - 5
    # Tokens go the same way; a long prompt is scored in parts.
    arrays = [list(range(500, 520)), list(range(700, 1100))]
    answer = client.completions.create(model=MODEL, prompt=arrays, max_tokens=1, logprobs=1, echo=True)
    assert [len(choice.logprobs.token_logprobs) for choice in answer.choices] == [21, 401]
    assert all(value is not None for choice in answer.choices for value in choice.logprobs.token_logprobs[1:])


def test_embeddings(client: OpenAI) -> None:
    texts = ["The cat sat on the mat.", "A cat was sitting on a mat.", "Quarterly revenue rose by nine percent."]
    answer = client.embeddings.create(model=MODEL, input=texts)
    assert [entry.index for entry in answer.data] == [0, 1, 2]
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 15
    first, near, far = (entry.embedding for entry in answer.data)

    def cosine(one: list[float], two: list[float]) -> float:
        return sum(a * b for a, b in zip(one, two, strict=True))

    assert cosine(first, first) == pytest.approx(1, abs=1e-4)
    assert cosine(first, near) > cosine(first, far)
    # The client asks for base64 unless told otherwise.
    plain = client.embeddings.create(model=MODEL, input=texts[0], encoding_format="float", dimensions=len(first))
    assert cosine(plain.data[0].embedding, first) > 0.999
    assert len(client.embeddings.create(model=MODEL, input=[[500, 501], [502]]).data) == 2
    for name, wrong in (("dimensions", {"dimensions": 64}), ("input[1]", {"input": ["x", ""]})):
        with pytest.raises(openai.BadRequestError) as refused:
            client.embeddings.create(**({"model": MODEL, "input": "x"} | wrong))
        assert refused.value.param == name, refused.value.body


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
    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "messages"), refused.value.body
    assert "context" in str(refused.value).lower() or "tokens" in str(refused.value).lower()
    assert ask(client, "Hello").choices[0].message.content


def test_an_answer_that_comes_too_late_is_an_error_and_no_answer(client: OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as late:
        ask(client, "Tell me a long story.", max_tokens=1500, extra_body={"deadline_ms": 40, "priority": -1})
    assert (late.value.status_code, late.value.code) == (504, "request_deadline_exceeded"), late.value.body
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, "x", extra_body={"priority": "high"})
    assert refused.value.param == "priority"
    assert ask(client, "What is 2+2?", extra_body={"deadline_ms": 60_000, "priority": 3}).choices[0].message.content


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


def test_what_is_misspelt_within_a_parameter_is_named_and_what_an_answer_had_comes_back(client: OpenAI) -> None:
    said = {"role": "user", "content": "x"}
    result = {"role": "tool", "content": "7", "tool_call_id": "call_1"}
    for more, param in (
        ({"stream": True, "stream_options": {"include_usge": True}}, "stream_options.include_usge"),
        ({"messages": [said | {"extra": 1}]}, "messages[0].extra"),
        ({"messages": [said, result]}, "messages[1].tool_call_id"),
        ({"extra_body": {"structured_outputs": {}}}, "structured_outputs"),
        ({"max_completion_tokens": 7}, "max_tokens"),
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(**{"model": MODEL, "messages": [said], "max_tokens": 5} | more)
        assert refused.value.param == param, refused.value.body
    answer = ask(client, "Hello", max_tokens=5).choices[0].message.model_dump()
    assert "refusal" in answer
    echoed = answer | {"reasoning_content": "because", "provider_specific_fields": {"x": 1}}
    again = client.chat.completions.create(model=MODEL, messages=[said, echoed, said], max_tokens=5)
    assert again.choices[0].message.content is not None


def test_a_client_that_hangs_up_stops_the_decoding(served: Corliss, client: OpenAI) -> None:
    stream = ask(client, "Write a very long story about the sea.", stream=True, max_tokens=1500)
    for _ in range(3):
        next(iter(stream))
    stream.close()

    def idle() -> bool:
        replicas = served.api(f"/endpoints/{MODEL}")["replicas"]
        return all(replica["in_flight"] == 0 for replica in replicas)

    poll("the decoding to stop", idle, timeout_s=10)


def test_a_caller_with_limits_is_told_what_is_left(served: Corliss, client: OpenAI) -> None:
    key = json.loads(served.cli("admin", "token", "create", "rated", "--role", "data-scientist", "--json"))["token"]
    served.cli("admin", "limits", "set", "rated", "--requests-per-minute", "2", "--tokens-per-minute", "9000")
    rated = client.with_options(api_key=key)

    def left(answer) -> dict[str, str]:
        return {name.removeprefix("x-ratelimit-"): value for name, value in answer.headers.items() if name.startswith("x-ratelimit-")}

    def asked(by: OpenAI):
        return by.chat.completions.with_raw_response.create(
            model=MODEL, messages=[{"role": "user", "content": "Hello"}], max_tokens=1
        )

    try:
        assert left(asked(client)) == {}
        first = left(asked(rated))
        assert (first["limit-requests"], first["remaining-requests"], first["limit-tokens"]) == ("2", "1", "9000")
        assert 8000 < int(first["remaining-tokens"]) < 9000
        for name in ("reset-requests", "reset-tokens"):
            assert re.fullmatch(r"\d+ms|\d+(\.\d+)?s", first[name]), first
        assert left(asked(rated))["remaining-requests"] == "0"
        with pytest.raises(openai.RateLimitError) as refused:
            asked(rated)
        assert left(refused.value.response)["remaining-requests"] == "0"
    finally:
        served.cli("admin", "limits", "remove", "rated")
