"""Bodies that are no JSON, or JSON that hurts (reliability cases 13 to 15)."""

import json

import pytest
from api import CHAT, HI, TEXT, ask, complete, metric, ok, refused
from wire import assert_error


def nested(depth, inner="1"):
    return "[" * depth + inner + "]" * depth


def test_case_13_a_hundred_thousand_brackets(unharmed):
    with unharmed():
        for path in (CHAT, TEXT, "/tokenize", "/detokenize"):
            for body in (nested(100_000), "[" * 100_000, '{"a":' * 100_000, '{"prompt":' + nested(100_000) + "}"):
                error = assert_error(ask(unharmed.server, path, body.encode()), 400, "invalid_json")
                assert "nesting is too deep: at most 64" in error["message"]


@pytest.mark.parametrize(
    "field, value",
    [
        ("tools", '[{"type":"function","function":{"name":"f","parameters":%s}}]'),
        ("chat_template_kwargs", '{"enable_thinking":%s}'),
        ("metadata", '{"a":%s}'),
        ("response_format", '{"type":"json_schema","json_schema":{"schema":{"enum":%s}}}'),
    ],
)
def test_case_14_the_same_inside_a_field(unharmed, field, value):
    body = '{"messages":%s,"%s":%s}' % (json.dumps(HI), field, value % nested(5000))
    with unharmed():
        error = refused(unharmed.server, CHAT, body.encode(), field, "invalid_json")
    assert "too deep" in error["message"]


BROKEN = {
    "invalid UTF-8": b'{"prompt":"\xff\xfe"}',
    "cut UTF-8": b'{"prompt":"\xe2\x82"}',
    "overlong UTF-8": b'{"prompt":"\xc0\xaf"}',
    "lone surrogate": b'{"prompt":"\\ud800"}',
    "reversed surrogates": b'{"prompt":"\\udc00\\ud800"}',
    "byte order mark": b'\xef\xbb\xbf{"prompt":"a"}',
    "trailing bytes": b'{"prompt":"a"} x',
    "two values": b'{"prompt":"a"}{"prompt":"b"}',
    "raw NUL": b'{"prompt":"\x00"}',
    "raw line break": b'{"prompt":"a\nb"}',
    "NaN": b'{"temperature":NaN}',
    "single quotes": b"{'prompt':'a'}",
    "no quotes": b"{prompt:a}",
    "trailing comma": b'{"prompt":"a",}',
    "comment": b'{"prompt":"a"/*x*/}',
    "cut": b'{"prompt":"a"',
    "empty": b"",
    "blank": b"  \n",
}


def test_case_15_what_is_no_json_says_where(unharmed):
    with unharmed():
        for name, body in BROKEN.items():
            error = assert_error(ask(unharmed.server, TEXT, body), 400, "invalid_json")
            assert "line " in error["message"] and "column " in error["message"], (name, error)


def test_case_15_the_place_is_right(server):
    error = assert_error(ask(server, TEXT, b'{"prompt": "a",\n "max_tokens": x}'), 400, "invalid_json")
    assert "line 2, column 16" in error["message"] and error["param"] == "max_tokens"


def test_case_15_a_key_that_comes_twice(server):
    error = refused(server, TEXT, b'{"prompt":"a","n":1,"n":2}', "n", "invalid_json")
    assert "'n' twice" in error["message"]


def test_case_15_nul_and_odd_characters_come_back(server):
    text = "a\u0000b \u0001 \U0001f600 \uffff e\u0301"
    answer = complete(server, text, max_tokens=1, echo=True)
    assert answer["choices"][0]["text"].startswith(text)


def test_case_15_a_body_that_is_no_object(server):
    for body in (b"[]", b'"a"', b"1", b"null", b"true"):
        assert_error(ask(server, TEXT, body), 400, "invalid_type")


def test_case_25_unknown_fields_are_counted(server):
    before = metric(server, "vortex:unknown_fields_total")
    complete(server, "a", max_tokens=1, no_such_field=1, another={"x": []})
    assert metric(server, "vortex:unknown_fields_total") == before + 2


def test_a_million_keys_take_no_time(unharmed):
    body = "{" + ",".join(f'"k{i}":1' for i in range(300_000)) + ',"prompt":"a","max_tokens":1}'
    with unharmed():
        ok(ask(unharmed.server, TEXT, body.encode()))
