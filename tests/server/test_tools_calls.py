"""Tool calls that are asked for: required, and by name."""

import json

import jsonschema
import pytest
from wire import Wire, post

CHAT = "/v1/chat/completions"
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 8}, "unit": {"enum": ["C", "F"]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}
CLOCK = {"type": "object", "properties": {"offset": {"type": "integer", "minimum": -12, "maximum": 12}}, "required": ["offset"]}
TOOLS = [
    {"type": "function", "function": {"name": "weather", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "clock", "parameters": CLOCK}},
]
NAMED = {"type": "function", "function": {"name": "clock"}}


def body(choice, **fields):
    return {
        "model": "recall-gqa",
        "messages": [{"role": "user", "content": "What is it like in Bern?"}],
        "tools": TOOLS,
        "tool_choice": choice,
        "parallel_tool_calls": False,
        "max_tokens": 400,
        "temperature": 1,
    } | fields


def assert_valid(name, arguments):
    jsonschema.validate(json.loads(arguments), {"weather": WEATHER, "clock": CLOCK}[name])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("choice", ["required", NAMED], ids=["required", "named"])
def test_the_answer_is_a_call(server, choice, seed):
    answer = server.ask(post(CHAT, body(choice, seed=seed)), timeout=120)
    assert answer.status == 200, answer.body
    (one,) = answer.json()["choices"]
    (call,) = one["message"]["tool_calls"]
    assert not one["message"].get("content")
    assert call["type"] == "function" and call["id"]
    if choice is NAMED:
        assert call["function"]["name"] == "clock"
    assert_valid(call["function"]["name"], call["function"]["arguments"])
    assert one["finish_reason"] == ("stop" if choice is NAMED else "tool_calls")


@pytest.mark.parametrize("choice", ["required", NAMED], ids=["required", "named"])
def test_a_stream_gives_the_name_first_and_the_arguments_in_parts(server, choice):
    with Wire(server.address, timeout=120) as wire:
        answer = wire.ask(post(CHAT, body(choice, stream=True, seed=2)))
    events = [line.removeprefix("data: ") for line in answer.body.decode().split("\n\n") if line]
    assert events[-1] == "[DONE]"
    deltas = [json.loads(e)["choices"][0]["delta"] for e in events[:-1] if json.loads(e)["choices"]]
    parts = [part for delta in deltas for part in delta.get("tool_calls") or []]
    assert parts[0]["id"] and parts[0]["function"]["name"] in ("weather", "clock")
    assert {part["index"] for part in parts} == {0}
    assert not any(part.get("id") for part in parts[1:])
    assert len(parts) > 2
    arguments = "".join(part["function"].get("arguments") or "" for part in parts)
    assert_valid(parts[0]["function"]["name"], arguments)


def test_a_schema_that_is_not_supported_is_refused(server):
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "not": {}}}}]
    answer = server.ask(post(CHAT, body("required", tools=tools)))
    assert answer.status == 400
    assert '"not"' in answer.error["message"]
