"""The responses of OpenAI's API through the unmodified openai client, by a real language model."""

from __future__ import annotations

import json

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel, Field

from support.server import Corliss

MODEL = "smollm2"


@pytest.fixture
def client(house: Corliss, language_model: str) -> OpenAI:
    assert language_model == MODEL
    return OpenAI(base_url=f"{house.url}/v1", api_key=house.token, max_retries=0, timeout=120)


def ask(client: OpenAI, question: object, /, **more):
    return client.responses.create(model=MODEL, input=question, **({"max_output_tokens": 24, "temperature": 0} | more))


def test_a_text_is_answered_with_usage(client: OpenAI) -> None:
    response = ask(client, "What is 2+2?", metadata={"case": "first"}, store=False)
    assert "4" in response.output_text
    assert response.object == "response" and response.id.startswith("resp_") and response.model == MODEL
    (message,) = response.output
    assert (message.type, message.role, message.id[:4]) == ("message", "assistant", "msg_")
    assert response.status in ("completed", "incomplete") and response.error is None
    assert response.metadata == {"case": "first"} and response.store is False
    assert response.usage.input_tokens > 5 and 1 <= response.usage.output_tokens <= 24
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert response.usage.input_tokens_details.cached_tokens >= 0


def test_it_says_what_a_chat_says(client: OpenAI) -> None:
    chat = client.chat.completions.create(
        model=MODEL, temperature=0, max_tokens=24,
        messages=[{"role": "system", "content": "Answer in one word."}, {"role": "user", "content": "Capital of France?"}],
    )
    by_text = ask(client, "Capital of France?", instructions="Answer in one word.")
    by_items = ask(client, [
        {"role": "developer", "content": "Answer in one word."},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Capital of France?"}]},
    ])
    assert by_text.output_text == by_items.output_text == chat.choices[0].message.content
    assert by_text.usage.input_tokens == chat.usage.prompt_tokens


def test_the_conversation_so_far_is_sent_as_input(client: OpenAI) -> None:
    items: list = [{"role": "user", "content": "My name is Ada. Say hello."}]
    first = ask(client, items)
    items += [item.model_dump() for item in first.output]
    items.append({"role": "user", "content": "Go on."})
    second = ask(client, items)
    assert second.usage.input_tokens > first.usage.input_tokens + first.usage.output_tokens


def test_a_cut_answer_is_incomplete(client: OpenAI) -> None:
    response = ask(client, "Tell me a long story.", max_output_tokens=5)
    assert response.status == "incomplete" and response.incomplete_details.reason == "max_output_tokens"
    assert response.usage.output_tokens == 5 and response.output[0].status == "incomplete"


def test_a_stream_grows_to_the_whole(client: OpenAI) -> None:
    whole = ask(client, "Count from one to five.")
    events = list(ask(client, "Count from one to five.", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    names = [event.type for event in events]
    assert names[:4] == ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
    deltas = [event for event in events if event.type == "response.output_text.delta"]
    assert len(deltas) > 3 and set(names[4:4 + len(deltas)]) == {"response.output_text.delta"}
    assert names[4 + len(deltas):-1] == ["response.output_text.done", "response.content_part.done", "response.output_item.done"]
    assert "".join(event.delta for event in deltas) == whole.output_text
    last = events[-1]
    assert last.type == f"response.{whole.status}"
    assert last.response.output_text == whole.output_text and last.response.usage.output_tokens == whole.usage.output_tokens
    assert {event.item_id for event in deltas} == {last.response.output[0].id}
    assert events[0].response.status == "in_progress" and events[0].response.id == last.response.id


def test_the_client_s_own_stream_helper_reads_it(client: OpenAI) -> None:
    with client.responses.stream(model=MODEL, input="What is 2+2?", max_output_tokens=200, temperature=0) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        assert stream.get_final_response().output_text == text


class Ship(BaseModel):
    name: str = Field(max_length=12)
    masts: list[int] = Field(max_length=2)


WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "Tells the weather of a city.",
    "strict": True,
    "parameters": {
        "type": "object", "required": ["city", "celsius"], "additionalProperties": False,
        "properties": {"city": {"type": "string", "maxLength": 30}, "celsius": {"type": "boolean"}},
    },
}


def test_the_client_parses_what_it_asked_for_by_a_class(client: OpenAI) -> None:
    parsed = client.responses.parse(
        model=MODEL, input="Name a ship.", text_format=Ship, max_output_tokens=200, temperature=1.2
    )
    assert parsed.status == "completed" and isinstance(parsed.output_parsed, Ship)
    assert list(json.loads(parsed.output_text)) == ["name", "masts"], "the order is the class's"
    assert parsed.text.format.type == "json_schema" and parsed.text.format.name == "Ship"
    with client.responses.stream(
        model=MODEL, input="Name a ship.", text_format=Ship, max_output_tokens=200, temperature=0
    ) as stream:
        for _ in stream:
            pass
        assert isinstance(stream.get_final_response().output_parsed, Ship)
    plain = ask(client, "Name a ship, as JSON.", text={"format": {"type": "json_object"}}, max_output_tokens=300)
    if plain.status == "completed":
        assert isinstance(json.loads(plain.output_text), dict)
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, "Name a ship.", text={"format": {"type": "json_schema", "name": "n", "schema": {"$ref": "#/nowhere"}}})
    assert refused.value.param == "text.format.schema", "the engine's word for it is another"


def test_a_function_is_called_and_its_answer_read(client: OpenAI) -> None:
    items: list = [{"role": "user", "content": "What is the weather in Paris?"}]
    first = ask(client, items, tools=[WEATHER], tool_choice="required", max_output_tokens=200, parallel_tool_calls=False)
    (call,) = [item for item in first.output if item.type == "function_call"]
    arguments = json.loads(call.arguments)
    assert call.name == "weather" and set(arguments) == {"city", "celsius"} and isinstance(arguments["celsius"], bool)
    assert first.status == call.status == "completed" and call.id != call.call_id
    assert first.tools[0].name == "weather" and first.tool_choice == "required" and first.parallel_tool_calls is False
    items += [item.model_dump(exclude_none=True) for item in first.output]
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": json.dumps({"degrees": 21})})
    second = ask(client, items, tools=[WEATHER], tool_choice="none")
    assert second.output[0].type == "message" and second.output_text
    # Who may call nothing is not told of the functions, so the first turn alone is the measure.
    alone = ask(client, items[:1], tools=[WEATHER], tool_choice="none", max_output_tokens=1)
    assert second.usage.input_tokens > alone.usage.input_tokens + 10


def test_a_call_streams_as_its_arguments_grow(client: OpenAI) -> None:
    more = {"tools": [WEATHER], "tool_choice": {"type": "function", "name": "weather"}, "max_output_tokens": 200}
    whole = ask(client, "What is the weather in Paris?", **more)
    events = list(ask(client, "What is the weather in Paris?", stream=True, **more))
    names = [event.type for event in events]
    at = names.index("response.function_call_arguments.delta")
    assert names[at - 1] == "response.output_item.added" and events[at - 1].item.type == "function_call"
    deltas = [event for event in events if event.type == "response.function_call_arguments.delta"]
    [done] = [event for event in events if event.type == "response.function_call_arguments.done"]
    assert len(deltas) > 1 and "".join(event.delta for event in deltas) == done.arguments
    assert {event.item_id for event in deltas} == {events[at - 1].item.id} == {done.item_id}
    final = events[-1].response
    [call] = [item for item in final.output if item.type == "function_call"]
    [same] = [item for item in whole.output if item.type == "function_call"]
    assert call.arguments == done.arguments == same.arguments and done.name == call.name == "weather"
    assert final.usage.output_tokens == whole.usage.output_tokens
    with client.responses.stream(model=MODEL, input="What is the weather in Paris?", temperature=0, **more) as stream:
        for _ in stream:
            pass
        [parsed] = [item for item in stream.get_final_response().output if item.type == "function_call"]
    assert parsed.parsed_arguments == json.loads(done.arguments)


@pytest.mark.parametrize(
    "more, name",
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"store": True}, "store"),
        ({"background": True}, "background"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "name": "f", "parameters": "x"}]}, "tools[0].parameters"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": "7"}]}, "input[0].call_id"),
        (
            {"input": [{"role": "user", "content": "x"},
                       {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{"}]},
            "input[1].arguments",
        ),
        ({"stream": True, "stream_options": {"x": 1}}, "stream_options.x"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, "input[0].content[0].type"),
        ({"input": "word " * 20_000}, "input"),
        ({"temperature": 3}, "temperature"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
    ],
)
def test_what_is_not_there_is_refused_by_name(client: OpenAI, more: dict, name: str) -> None:
    more = dict(more)
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, more.pop("input", "hello"), **more)
    assert refused.value.param == name, refused.value
    assert name.split(".")[-1] in refused.value.message or name == "input"
    assert ask(client, "hello", max_output_tokens=1).status == "incomplete"


def test_an_unknown_model_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        client.responses.create(model="nobody", input="hello")
    assert refused.value.code == "model_not_found"
