"""Answers in a format and calls of tools, through the unmodified openai client and a real model."""

from __future__ import annotations

import json
from enum import Enum

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel, Field

from support.server import Corliss

MODEL = "smollm2"


class Mood(str, Enum):
    calm = "calm"
    stormy = "stormy"


class Day(BaseModel):
    weekday: str = Field(max_length=20)
    mood: Mood
    hours: list[int] = Field(max_length=3)


class Weather(BaseModel):
    """Tells the weather of a city."""

    city: str = Field(max_length=30)
    celsius: bool


@pytest.fixture
def client(house: Corliss, language_model: str) -> OpenAI:
    assert language_model == MODEL
    return OpenAI(base_url=f"{house.url}/v1", api_key=house.token, max_retries=0, timeout=120)


def messages(text: str) -> list:
    return [{"role": "user", "content": text}]


def test_the_client_parses_what_it_asked_for_by_a_class(client: OpenAI) -> None:
    for temperature in (0, 1.5):
        done = client.chat.completions.parse(
            model=MODEL, messages=messages("Describe a day at sea."), response_format=Day, max_tokens=200,
            temperature=temperature, seed=5,
        )
        [choice] = done.choices
        assert choice.finish_reason == "stop"
        assert isinstance(choice.message.parsed, Day)
        assert list(json.loads(choice.message.content)) == ["weekday", "mood", "hours"], "the order is the class's"


def test_a_json_object_is_streamed_and_n_answers_all_fit(client: OpenAI) -> None:
    schema = {
        "type": "object", "required": ["name"], "additionalProperties": False,
        "properties": {"name": {"type": "string", "maxLength": 12}},
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "ship", "schema": schema, "strict": True}}
    texts: dict[int, str] = {}
    for chunk in client.chat.completions.create(
        model=MODEL, messages=messages("Name a ship, as JSON."), response_format=wanted, n=3, temperature=1.2,
        max_tokens=60, stream=True,
    ):
        for choice in chunk.choices:
            texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
            assert choice.finish_reason in (None, "stop")
    assert len(texts) == 3
    for text in texts.values():
        assert list(json.loads(text)) == ["name"], text
    plain = client.chat.completions.create(
        model=MODEL, messages=messages("Name a ship, as JSON."), response_format={"type": "json_object"}, max_tokens=300
    ).choices[0]
    if plain.finish_reason == "stop":
        assert isinstance(json.loads(plain.message.content), dict)


def test_vllms_names_do_the_same(client: OpenAI) -> None:
    for more, fits in (
        ({"guided_choice": ["red", "blue"]}, ("red", "blue")),
        ({"structured_outputs": {"regex": "(yes|no)!"}}, ("yes!", "no!")),
    ):
        answer = client.completions.create(model=MODEL, prompt="So:", max_tokens=20, extra_body=more).choices[0]
        assert (answer.text in fits, answer.finish_reason) == (True, "stop")


def test_what_cannot_be_followed_is_refused_by_name(client: OpenAI) -> None:
    place = "response_format.json_schema.schema"
    nested: dict = {}
    for _ in range(60):
        nested = {"type": "array", "items": nested}
    for schema in (
        {"not": {}},
        {"type": "object", "properties": {"a": {"type": "string", "minLenght": 3}}},
        {"allOf": [{"anyOf": [{"type": "string"}, {"type": "number"}]}] * 30},
        nested,
        {"type": "array", "minItems": 10**9},
        {"type": "integer", "minimum": 3, "maximum": 2},
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(
                model=MODEL, messages=messages("x"), max_tokens=5,
                response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}},
            )
        assert refused.value.param == place, refused.value.body
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(
            model=MODEL, messages=messages("x"), response_format={"type": "json_object"}, stop=["}"]
        )
    assert refused.value.param == "stop"


def test_the_part_of_a_schema_that_cannot_be_followed_is_told_with_what_to_use(client: OpenAI) -> None:
    def inside(part: object) -> dict:
        return {"type": "object", "required": ["a"], "properties": {"z": {"type": "null"}, "a": part}}

    for schema, clues in (
        (inside({"oneOf": [{"type": "string"}, {"enum": ["x", 1]}]}), ("/properties/a/oneOf", "anyOf")),
        (inside({"type": "integer", "minimum": 1.2, "maximum": 1.8}), ("/properties/a", "no whole number")),
        (inside({"type": "number", "multipleOf": 0.07}), ("/properties/a/multipleOf", "0.01")),
        (inside({"type": "string", "format": "phone"}), ("/properties/a/format", "date-time", "pattern")),
        (inside({"type": "string", "pattern": "x" * 300 + "("}), ("/properties/a/pattern", "unclosed group")),
        (inside(False), ("/properties/a", "false")),
        (False, ("false",)),
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(
                model=MODEL, messages=messages("x"), max_tokens=5,
                response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}},
            )
        told = refused.value.body["message"]
        assert all(clue in told for clue in clues) and len(told) < 400 and "coerce" not in told, told


def test_a_tool_is_called_its_answer_goes_back_and_deltas_are_openais(client: OpenAI) -> None:
    tool = openai.pydantic_function_tool(Weather)
    asked = messages("What is the weather in Rome?")
    done = client.chat.completions.parse(
        model=MODEL, messages=asked, tools=[tool], tool_choice="required", parallel_tool_calls=False, max_tokens=120,
        temperature=0,
    ).choices[0]
    assert (done.finish_reason, done.message.content) == ("tool_calls", None)
    [call] = done.message.tool_calls
    assert isinstance(call.function.parsed_arguments, Weather)
    follow = asked + [done.message.model_dump(include={"role", "content", "tool_calls"})]
    for made in follow[-1]["tool_calls"]:
        made["function"].pop("parsed_arguments")
    follow.append({"role": "tool", "tool_call_id": call.id, "content": "31 degrees and sunny"})
    answer = client.chat.completions.create(model=MODEL, messages=follow, tools=[tool], tool_choice="none", max_tokens=60)
    assert answer.choices[0].message.content and not answer.choices[0].message.tool_calls

    with client.chat.completions.stream(
        model=MODEL, messages=asked, tools=[tool], max_tokens=120, temperature=0,
        tool_choice={"type": "function", "function": {"name": "Weather"}},
    ) as stream:
        kinds = [event.type for event in stream]
        streamed = stream.get_final_completion().choices[0]
    assert "tool_calls.function.arguments.delta" in kinds and "tool_calls.function.arguments.done" in kinds
    assert streamed.finish_reason == "tool_calls"
    assert isinstance(streamed.message.tool_calls[0].function.parsed_arguments, Weather)


def test_tools_that_make_no_sense_are_refused_by_name(client: OpenAI) -> None:
    def tool(name: str, **more) -> dict:
        return {"type": "function", "function": {"name": name, **more}}

    for tools, more, param in (
        ([tool("a b")], {}, "tools[0].function.name"),
        ([tool("f"), tool("f")], {}, "tools[1].function.name"),
        ([tool("f", strict=True, parameters={"not": {}})], {}, "tools[0].function.parameters"),
        ([tool(f"f{at}") for at in range(129)], {}, "tools"),
        ([tool("f", paramters={"type": "object"})], {}, "tools[0].function.paramters"),
        ([tool("f")], {"tool_choice": {"type": "function", "function": {"name": "g"}}}, "tool_choice"),
        ([], {"extra_body": {"functions": []}}, "functions"),
        ([], {"tool_choice": "required"}, "tool_choice"),
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(model=MODEL, messages=messages("x"), tools=tools, max_tokens=5, **more)
        assert refused.value.param == param, refused.value.body
