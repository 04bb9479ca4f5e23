"""Answers that must match: schemas, patterns, choices and grammars over HTTP, and what strangers send as such.

Cases 34 to 36. That a grammar means what it says is tested against other programs in tests/python/test_grammar.py.
"""

import json
import re
import time

import jsonschema
import pytest
from serving import SLACK
from wire import Wire, post

CHAT = "/v1/chat/completions"
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 6},
        "size": {"type": "integer", "minimum": -20, "maximum": 300},
        "kind": {"enum": ["cat", "dog", None]},
        "tags": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2},
    },
    "required": ["name", "size", "kind", "tags"],
    "additionalProperties": False,
}


def body(**fields):
    return {
        "model": "recall-gqa",
        "messages": [{"role": "user", "content": "Tell me."}],
        "max_tokens": 200,
        "temperature": 1,
        "seed": 1,
    } | fields


def as_schema(schema):
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}}


def answers(server, **fields):
    answer = server.ask(post(CHAT, body(**fields)), timeout=120)
    assert answer.status == 200, answer.body
    choices = answer.json()["choices"]
    assert all(choice["finish_reason"] == "stop" for choice in choices), choices
    return [choice["message"]["content"] for choice in choices]


def streamed(server, **fields):
    with Wire(server.address, timeout=120) as wire:
        answer = wire.ask(post(CHAT, body(stream=True, **fields)))
    assert answer.status == 200 and answer.whole
    events = [line.removeprefix("data: ") for line in answer.body.decode().split("\n\n") if line]
    assert events[-1] == "[DONE]", events
    return [json.loads(event) for event in events[:-1]]


def test_answers_are_valid_by_their_schema(server):
    texts = answers(server, n=4, **as_schema(SCHEMA)) + answers(server, temperature=0, **as_schema(SCHEMA))
    assert len(set(texts)) > 1
    for text in texts:
        jsonschema.validate(json.loads(text), SCHEMA)


def test_streams_are_valid_by_their_schema(server):
    events = streamed(server, structured_outputs={"json": SCHEMA})
    text = "".join(e["choices"][0]["delta"].get("content") or "" for e in events if e["choices"])
    jsonschema.validate(json.loads(text), SCHEMA)


@pytest.mark.parametrize("seed", range(3))
def test_patterns_choices_and_grammars(server, seed):
    (text,) = answers(server, seed=seed, structured_outputs={"regex": "[a-f]{2,5}-\\d{3}"})
    assert re.fullmatch("[a-f]{2,5}-\\d{3}", text)
    (text,) = answers(server, seed=seed, structured_outputs={"choice": ["red", "green", "dark blue"]})
    assert text in ("red", "green", "dark blue")
    (text,) = answers(server, seed=seed, structured_outputs={"grammar": 'root ::= ("x" | "yy"){2,3} "z"'})
    assert re.fullmatch("(x|yy){2,3}z", text)


def test_a_json_object_is_one_even_when_it_is_cut(server):
    answer = server.ask(post(CHAT, body(max_tokens=12, response_format={"type": "json_object"})))
    choice = answer.json()["choices"][0]
    assert choice["message"]["content"].startswith("{")
    if choice["finish_reason"] == "stop":
        assert isinstance(json.loads(choice["message"]["content"]), dict)


LAUGHS = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(25)}
HOSTILE = {
    "deep_gbnf": {"grammar": "root ::= " + "(" * 60_000 + '"x"' + ")" * 60_000},
    "rule_chain": {"grammar": "root ::= r0\n" + "".join(f"r{i} ::= r{i + 1}\n" for i in range(5000)) + 'r5000 ::= "x"'},
    "left_recursion": {"grammar": 'root ::= root "a" | "b"'},
    "quantified_anchor": {"json": {"type": "string", "pattern": "^+"}},
    "open_groups": {"regex": "((("},
    "counted_counts": {"regex": "(" * 30 + "ab" + "){1000000}" * 30},
    "look_around": {"regex": "(?=a)b"},
    "ref_cycle": {"json": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}},
    "laughs": {"json": {"$ref": "#/$defs/d0", "$defs": LAUGHS | {"d25": {"type": "object"}}}},
    "max_items": {"json": {"type": "array", "items": {"type": "integer"}, "maxItems": 10**9}},
    "unknown_keyword": {"json": {"type": "array", "uniqueItems": True}},
    "empty_choice": {"choice": []},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_case_34_hostile_grammars_are_refused_soon(server, name):
    begin = time.monotonic()
    answer = server.ask(post(CHAT, body(structured_outputs=HOSTILE[name])))
    assert time.monotonic() - begin < 1 * SLACK
    assert answer.status == 400, answer.body
    assert answer.error["type"] == "invalid_request_error"
    assert len(answer.error["message"]) < 1000


def test_case_34_harms_nobody_else(server, unharmed):
    with unharmed():
        for outputs in HOSTILE.values():
            assert server.ask(post(CHAT, body(structured_outputs=outputs))).status == 400


def test_case_35_many_schemas_keep_little(server):
    """The cap itself is tested with 10,000 schemas in src/grammar/grammar_test.cc."""

    def ask_with(number):
        schema = {"type": "object", "properties": {f"p{number}": {"type": "string"}}, "required": [f"p{number}"]}
        assert server.ask(post(CHAT, body(max_tokens=2, **as_schema(schema)))).status == 200

    for number in range(30):
        ask_with(number)
    before = server.memory()
    for number in range(30, 330):
        ask_with(number)
    assert server.memory() - before < 200e6


# More ways to read the text than a matcher follows: no token is allowed.
UNSATISFIABLE = {"regex": "|".join(f"ab{i}c" for i in range(2500))}


def test_case_36_what_no_token_satisfies_ends_with_an_error(server):
    answer = server.ask(post(CHAT, body(structured_outputs=UNSATISFIABLE)), timeout=60)
    assert answer.status in (400, 500), answer.body
    assert answer.error["message"]


def test_case_36_a_stream_ends_with_an_error(server):
    with Wire(server.address, timeout=60) as wire:
        answer = wire.ask(post(CHAT, body(stream=True, structured_outputs=UNSATISFIABLE)))
    text = answer.body.decode()
    assert '"error"' in text and "[DONE]" not in text, text
