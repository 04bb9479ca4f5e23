"""Structured output against python's json, jsonschema and re, and against counting all short texts."""

import itertools
import json
import os
import random
import re
import subprocess

import jsonschema
import pytest
from program import PROGRAM, ROOT

CHECK = os.path.join(os.path.dirname(PROGRAM), "grammar_check")


@pytest.fixture(scope="module")
def check():
    """Asks the program: a function of a request, giving its answer."""
    with subprocess.Popen(
        [CHECK, str(ROOT / "models/recall-gqa")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def ask(kind, text="", **fields):
            process.stdin.write(json.dumps({"kind": kind, "text": text, **fields}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
            assert line, f"the program ended with {process.wait()}"
            return json.loads(line)

        yield ask
        process.stdin.close()


# Regular expressions and texts to try beyond the short ones over their own letters.
PATTERNS = [
    "a*b",
    "(ab|a)(b|)",
    "a{2,3}b?",
    "(a|b)*abb",
    "[^a]b+",
    "(?:a|b){0,2}c",
    "a(b(c)?)?",
    "(a*)*b",
    "(a|ab)(c|bcd)(d*)",
    "^ab|ba$",
    "\\d{1,2}[ab]",
    "[a-c]{2}\\.?",
    "((a{1,2}){2}){2}",
    "(a+b+)+",
    "|a",
    "a??b*?",
    "\\w\\W\\w",
    "[\\]\\-a]{1,2}",
    "\\x61\\u0062",
    "(?P<name>a)b",
    ".b",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_regex_accepts_what_python_matches(check, pattern):
    letters = "abcd1 .-]\n"
    texts = ["".join(t) for n in range(5) for t in itertools.product(letters[: 10 if n < 4 else 4], repeat=n)]
    texts += ["aaaabbbb", "abababb", "é", "éb", "日b", "a日b"]
    answer = check("regex", pattern, texts=texts)
    compiled = re.compile(pattern, re.ASCII)
    assert dict(zip(texts, answer["accepted"])) == {t: bool(compiled.fullmatch(t)) for t in texts}


def random_pattern(rng, depth=0):
    kind = rng.randrange(8 if depth < 4 else 3)
    if kind < 2:
        return rng.choice("abc")
    if kind == 2:
        return rng.choice(["[ab]", "[^a]", ".", "\\w", "[b-d]"])
    if kind == 3:
        return random_pattern(rng, depth + 1) + random_pattern(rng, depth + 1)
    if kind == 4:
        return f"({random_pattern(rng, depth + 1)}|{random_pattern(rng, depth + 1)})"
    return f"({random_pattern(rng, depth + 1)}){rng.choice(['*', '+', '?', '{2}', '{1,3}', '{0,2}', '{2,}'])}"


def test_random_regexes(check):
    rng = random.Random(6)
    texts = ["".join(t) for n in range(6) for t in itertools.product("abc" if n < 5 else "ab", repeat=n)]
    for _ in range(150):
        pattern = random_pattern(rng)
        answer = check("regex", pattern, texts=texts)
        compiled = re.compile(pattern, re.ASCII)
        wrong = [t for t, a in zip(texts, answer["accepted"]) if a != bool(compiled.fullmatch(t))]
        assert not wrong, pattern


@pytest.mark.parametrize("pattern", ["[a-z]{3,8}\\d+", "(foo|bar)+ [^x]{2,5}", "(\\w{1,9}@\\w{2,5}\\.com)?", "日本|[À-ÿ]{3}"])
def test_generated_texts_match_the_regex(check, pattern):
    answer = check("regex", pattern, generate=40, seed=3)
    for text in answer["generated"]:
        assert re.fullmatch(pattern, text, re.ASCII), (pattern, text)
    assert len(answer["generated"]) >= 20


def test_choice_is_exactly_its_strings(check):
    choices = ["yes", "no", "yes, but", "", "日本", "a\nb"]
    texts = [*choices, "ye", "yesno", "yes,", "日", "a", "maybe"]
    assert check("choice", choices=choices, texts=texts)["accepted"] == [t in choices for t in texts]
    assert set(check("choice", choices=choices, generate=60)["generated"]) <= set(choices)


GBNF = {
    # Balanced brackets: depth-first counting.
    'root ::= ("(" root ")")*': lambda t: balanced(t),
    # Two ways to close: as many readings as brackets, kept in one stack.
    'root ::= "(" root ")" | "(" root ")" | ""': lambda t: t == "(" * (len(t) // 2) + ")" * (len(t) // 2),
    'root ::= [^()] rest # comment\nrest ::= "(" |\n  ")"  rest': lambda t: re.fullmatch(r"[^()]\)*\(", t),
    'root ::= x{2} y*\nx ::= "(" | ")"\ny ::= "\\u0061" ("b")?': lambda t: re.fullmatch(r"[()]{2}(ab?)*", t),
}


def balanced(text):
    depth = 0
    for c in text:
        depth += {"(": 1, ")": -1}.get(c, -99)
        if depth < 0:
            return False
    return depth == 0


@pytest.mark.parametrize("grammar", GBNF)
def test_gbnf_accepts_what_it_says(check, grammar):
    texts = ["".join(t) for n in range(9) for t in itertools.product("()" if n > 4 else "()ab", repeat=n)]
    answer = check("gbnf", grammar, texts=texts)
    assert dict(zip(texts, answer["accepted"])) == {t: bool(GBNF[grammar](t)) for t in texts}


# A schema, documents that match, documents that do not; jsonschema is asked about both, so that this list cannot be
# wrong. All are written in the order of the schema's properties.
SCHEMAS = [
    (
        {
            "title": "Person",
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": 10},
                "age": {"type": "integer", "minimum": 0, "maximum": 150},
                "email": {"type": ["string", "null"], "description": "where"},
                "tags": {"type": "array", "items": {"enum": ["a", "b", 1, None, True]}, "maxItems": 3},
            },
            "required": ["name", "age"],
            "additionalProperties": False,
        },
        [
            {"name": "Zoé", "age": 0},
            {"name": 'q"\\\n', "age": 150, "email": None, "tags": []},
            {"name": "x", "age": 42, "email": "", "tags": ["a", 1, None]},
            {"name": "x", "age": 42, "tags": [True]},
        ],
        [
            {"name": "", "age": 1},
            {"name": "x" * 11, "age": 1},
            {"name": "x", "age": 151},
            {"name": "x", "age": -1},
            {"name": "x", "age": 1.5},
            {"name": "x"},
            {"age": 3},
            {"name": "x", "age": 1, "tags": ["c"]},
            {"name": "x", "age": 1, "tags": ["a", "a", "a", "a"]},
            {"name": "x", "age": 1, "other": 1},
            [],
            "x",
        ],
    ),
    (
        {
            "$defs": {
                "node": {
                    "type": "object",
                    "properties": {
                        "value": {"type": "number"},
                        "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                    },
                    "required": ["value", "children"],
                    "additionalProperties": False,
                }
            },
            "$ref": "#/$defs/node",
        },
        [
            {"value": 1.5e10, "children": []},
            {"value": -0.25, "children": [{"value": 0, "children": [{"value": 7, "children": []}]}]},
        ],
        [{"value": 1}, {"value": "1", "children": []}, {"value": 1, "children": [3]}],
    ),
    (
        {"anyOf": [{"type": "boolean"}, {"const": {"a": [1, 2]}}, {"type": "array", "prefixItems": [{"type": "null"}],
                                                                    "items": {"type": "integer"}, "minItems": 2}]},
        [True, {"a": [1, 2]}, [None, 4], [None, -4, 15]],
        [None, {"a": [1]}, [None], [4, 4], [None, "x"]],
    ),
    (
        {
            "allOf": [
                {"type": "object", "properties": {"kind": {"type": "string"}}, "required": ["kind"]},
                {"properties": {"kind": {"enum": ["cat", "dog", 4]}, "lives": {"type": "integer", "minimum": 1}}},
            ]
        },
        [{"kind": "cat"}, {"kind": "dog", "lives": 9}],
        [{"kind": "cow"}, {"kind": 4}, {"lives": 9}, {"kind": "cat", "lives": 0}],
    ),
    (
        {
            "type": "object",
            "properties": {"id": {"type": "integer"}, "idle": {"type": "boolean"}},
            "additionalProperties": {"type": "string"},
        },
        [{}, {"id": 1}, {"idle": True, "x": "y"}, {"i": "short", "ids": "long", "日": "x"}, {"id": 3, "": ""}],
        [{"id": "1"}, {"x": 1}, {"idle": "no"}, {"id": 1, "y": None}],
    ),
    (
        {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}, "c": {"type": "integer"},
                                          "d": {"type": "integer"}}, "required": ["c"], "additionalProperties": False},
        [{k: 1 for k in "abcd" if k in keys} for keys in ("c", "ac", "bc", "abc", "cd", "acd", "bcd", "abcd")],
        [{k: 1 for k in "abcd" if k in keys} for keys in ("", "a", "b", "ab", "d", "ad", "bd", "abd")],
    ),
    (
        {"type": "string", "pattern": "^[a-z]{1,5}-\\d{2}$"},
        ["ab-12", "x-00"],
        ["ab-1", "AB-12", " ab-12", "ab-123", 3],
    ),
    ({"type": "string", "pattern": "b[\"\\n]c"}, ['b"c', "xxb\ncyy"], ["bc", "b c", ""]),
    ({"type": "number", "minimum": -1.5, "exclusiveMaximum": 20.25},
     [-1.5, -1.49, -1, 0, 0.0, 20, 20.2, 20.249, 9.999, 19.99],
     [-1.51, -2, 20.25, 20.26, 21, 100, -10]),
    ({"type": "array", "items": False, "prefixItems": [{"type": "integer"}, {"type": "string"}]},
     [[], [1], [1, "x"]], [[1, "x", 2], ["x"], [1, 2]]),
    ({"type": "object", "properties": {"a": True}, "required": ["a", "z"]},
     [{"a": [1, {}], "z": None}], [{"a": 1}, {"z": 1}, {}]),
    ({"$defs": {"base": {"type": "integer", "minimum": 3}}, "$ref": "#/$defs/base", "maximum": 12},
     [3, 10, 12], [2, 13, 130, "3"]),
    ({"type": "object"}, [{}, {"a": {"b": [1, "x", None, True, {}]}}], [[], 1, None]),
    ({}, [1, "x", None, [], {"a": []}, -2.5e-3, "\u2028\x7f"], []),
]


def spellings(document):
    """As people and programs write JSON."""
    return [
        json.dumps(document, ensure_ascii=False),
        json.dumps(document, ensure_ascii=False, separators=(",", ":")),
        json.dumps(document, ensure_ascii=False, indent=2),
    ]


def test_escapes_of_strings(check):
    good = [r'"\u00e9\n\/"', r'"\ud83d\ude00"', r'"\uD7FF\ue000"', r'"/\b\f\r\t\\\""']
    bad = [r'"\ud83d"', r'"\ude00"', r'"\x41"', r'"\u12"', r'"\a"', '"a\nb', '"\t"', "'a'"]
    answer = check("json_schema", '{"type": "string"}', texts=good + bad)
    assert answer["accepted"] == [True] * len(good) + [False] * len(bad)
    # A pair of surrogates is one character.
    schema = '{"type": "string", "minLength": 1, "maxLength": 1}'
    assert check("json_schema", schema, texts=[*good[1:2], '"ab"', '"日"', '""'])["accepted"] == [True, False, True, False]


def test_white_space_is_bounded(check):
    good = ['{ "a": 1 }', '{\n    "a":1\n}', '{\n' + " " * 32 + '"a": 1}']
    bad = ['{  "a": 1}', ' {"a": 1}', '{"a": 1} ', '{"a" : 1}', '{"a":  1}', '{\n\n"a": 1}']
    bad.append('{\n' + " " * 33 + '"a": 1}')
    assert check("json_object", texts=good + bad)["accepted"] == [True] * len(good) + [False] * len(bad)


@pytest.mark.parametrize("schema, good, bad", SCHEMAS, ids=range(len(SCHEMAS)))
def test_schema_accepts_what_jsonschema_does(check, schema, good, bad):
    validator = jsonschema.Draft202012Validator(schema)
    for document, expected in [*((d, True) for d in good), *((d, False) for d in bad)]:
        assert validator.is_valid(document) == expected, document
        texts = spellings(document)
        assert check("json_schema", json.dumps(schema), texts=texts)["accepted"] == [expected] * len(texts), document


# A pattern without ^ or $ lets any text stand around it: random tokens seldom come to an end.
BOUNDED = [schema for schema, _, _ in SCHEMAS if not schema.get("pattern", "^").startswith("b")]


@pytest.mark.parametrize("schema", BOUNDED, ids=range(len(BOUNDED)))
def test_generated_documents_are_valid(check, schema):
    answer = check("json_schema", json.dumps(schema), generate=40, seed=11)
    validator = jsonschema.Draft202012Validator(schema)
    for text in answer["generated"]:
        assert validator.is_valid(json.loads(text)), text
    assert len(answer["generated"]) >= 10, answer["unfinished"]


def test_generated_json_objects_parse(check):
    answer = check("json_object", generate=60, seed=2)
    assert all(isinstance(json.loads(text), dict) for text in answer["generated"])
    assert len(answer["generated"]) >= 15


def random_schema(rng, depth=0):
    """Of what is supported, with documents in mind that random_document() makes."""
    kind = rng.randrange(9 if depth < 3 else 6)
    if kind == 0:
        low = rng.randint(-120, 120)
        return {"type": "integer", "minimum": low, "maximum": low + rng.choice([0, 1, 7, 30, 1000])}
    if kind == 1:
        return {"type": rng.choice(["boolean", "null", "number", "integer"])}
    if kind == 2:
        low = rng.randint(0, 3)
        return {"type": "string", "minLength": low, "maxLength": low + rng.randint(0, 3)}
    if kind == 3:
        return {"enum": rng.sample([1, "a", "ab", None, True, [1], {"a": 1}, "é"], 3)}
    if kind == 4:
        low, high = sorted([round(rng.uniform(-30, 30), 2), round(rng.uniform(-30, 30), 1)])
        keywords = rng.choice([("minimum", "maximum"), ("exclusiveMinimum", "exclusiveMaximum")])
        return {"type": "number", keywords[0]: low, keywords[1]: high + 1}
    if kind == 5:
        return {"type": [rng.choice(["string", "integer"]), rng.choice(["null", "boolean"])]}
    if kind == 6:
        return {"anyOf": [random_schema(rng, depth + 1), random_schema(rng, depth + 1)]}
    if kind == 7:
        low = rng.randint(0, 2)
        return {"type": "array", "items": random_schema(rng, depth + 1), "minItems": low,
                "maxItems": low + rng.randint(0, 3)}
    names = rng.sample(["a", "b", "ab", "é", "q\"t"], rng.randint(1, 4))
    return {
        "type": "object",
        "properties": {name: random_schema(rng, depth + 1) for name in names},
        "required": [name for name in names if rng.random() < 0.5],
        "additionalProperties": rng.choice([False, {"type": "integer"}]),
    }


def random_document(rng, schema, depth=0):
    """Near the schema: often valid, often just not."""
    if rng.random() < 0.08 or depth > 5:
        return rng.choice([0, -7, 130, 2.5, "a", "abcd", None, True, [], {}, [1, 1], {"a": 1}])
    if "anyOf" in schema:
        return random_document(rng, rng.choice(schema["anyOf"]), depth + 1)
    if "enum" in schema:
        return rng.choice(schema["enum"])
    kind = schema["type"] if isinstance(schema["type"], str) else rng.choice(schema["type"])
    if kind == "integer":
        return rng.randint(schema.get("minimum", -50) - 1, schema.get("maximum", 50) + 1)
    if kind == "number":
        low = schema.get("minimum", schema.get("exclusiveMinimum", -9))
        high = schema.get("maximum", schema.get("exclusiveMaximum", 9))
        return rng.choice([low, high, round(rng.uniform(low - 1, high + 1), 2) + 0.0])
    if kind == "string":
        return "".join(rng.choice("ab\"é\n😀") for _ in range(rng.randint(0, schema.get("maxLength", 4) + 1)))
    if kind == "array":
        count = rng.randint(0, schema["maxItems"] + 1)
        return [random_document(rng, schema["items"], depth + 1) for _ in range(count)]
    if kind == "object":
        document = {
            name: random_document(rng, part, depth + 1)
            for name, part in schema["properties"].items()
            if rng.random() < 0.8
        }
        if rng.random() < 0.3:
            document["extra"] = rng.choice([1, "x"])
        return document
    return {"boolean": True, "null": None}[kind]


def test_random_schemas_and_documents(check):
    rng = random.Random(6)
    seen = {True: 0, False: 0}
    for _ in range(150):
        schema = random_schema(rng)
        validator = jsonschema.Draft202012Validator(schema)
        documents = [random_document(rng, schema) for _ in range(40)]
        texts = [rng.choice(spellings(d)) for d in documents]
        answer = check("json_schema", json.dumps(schema), texts=texts, generate=3, seed=rng.randrange(1000))
        assert "error" not in answer, (schema, answer)
        for document, text, accepted in zip(documents, texts, answer["accepted"]):
            expected = validator.is_valid(document)
            seen[expected] += 1
            assert accepted == expected, (schema, text)
        for text in answer["generated"]:
            assert validator.is_valid(json.loads(text)), (schema, text)
    assert min(seen.values()) > 1000


FORMATS = {
    "date": (["2024-02-29", "1999-12-31", "0001-01-01"], ["2023-02-29", "2024-04-31", "2024-1-01", "1900-02-29"]),
    "time": (["23:59:59Z", "00:00:00.5+02:00"], ["24:00:00Z", "10:00Z", "10:00:00"]),
    "date-time": (["2024-02-29T10:00:00Z"], ["2024-02-29", "2024-02-29 10:00:00Z", "2023-02-29T10:00:00Z"]),
    "uuid": (["123e4567-e89b-12d3-a456-426614174000"], ["123e4567e89b12d3a456426614174000", "x"]),
    "ipv4": (["0.0.0.0", "255.249.19.7"], ["256.1.1.1", "01.2.3.4", "1.2.3"]),
    "ipv6": (["::", "::1", "fe80::1:2", "1:2:3:4:5:6:7:8", "1::8"], ["1:2:3", "1::2::3", ":1", "1:2:3:4:5:6:7:8:9"]),
    "email": (["a.b@example.com"], ["a@b@c.de", "a b@example.com", "@example.com"]),
    "hostname": (["example.com", "a-b"], ["-a", "a..b", "a_b"]),
    "uri": (["https://example.com/a?b=c#d", "x://h:80"], ["example.com", "http://", "http://a b"]),
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats(check, name):
    good, bad = FORMATS[name]
    texts = [json.dumps(text) for text in good + bad]
    answer = check("json_schema", json.dumps({"type": "string", "format": name}), texts=texts, generate=20)
    assert answer["accepted"] == [True] * len(good) + [False] * len(bad)
    # What the library of Python's models writes for a URL has a length, too.
    looser = {"type": "string", "format": name, "minLength": 1, "maxLength": 2083}
    assert check("json_schema", json.dumps(looser), texts=texts)["accepted"] == answer["accepted"]
    assert all(len(json.loads(text)) <= 2083 for text in answer["generated"])
    if name in ("date", "ipv4", "ipv6"):
        checker = jsonschema.FormatChecker()
        for text in answer["generated"]:
            assert checker.conforms(json.loads(text), name), text


# What must be refused, and what the message must name.
REFUSED = [
    ("json_schema", {"type": "array", "uniqueItems": True}, "uniqueItems"),
    ("json_schema", {"type": "object", "properties": {"a": {"not": {}}}}, "not"),
    ("json_schema", {"type": "object", "patternProperties": {}}, "patternProperties"),
    ("json_schema", {"if": {}, "then": {}}, "if"),
    ("json_schema", {"type": "string", "format": "duration"}, "duration"),
    ("json_schema", {"type": "integer", "multipleOf": 3}, "multipleOf"),
    ("json_schema", {"type": "strnig"}, "strnig"),
    ("json_schema", {"type": []}, "type"),
    ("json_schema", {"$ref": "http://example.com/x"}, "http://example.com/x"),
    ("json_schema", {"$ref": "#/$defs/missing"}, "#/$defs/missing"),
    ("json_schema", {"type": "string", "minLength": -1}, "minLength"),
    ("json_schema", {"type": "string", "minLength": 2, "pattern": "a"}, "pattern"),
    ("json_schema", {"type": "string", "format": "date", "pattern": "a"}, "pattern"),
    ("json_schema", {"type": "string", "format": "date", "maxLength": 9}, "10 to 10 characters"),
    ("json_schema", {"type": "string", "pattern": "^+"}, "byte 1"),
    ("json_schema", {"type": "string", "pattern": "(?=a)b"}, "look-around"),
    ("json_schema", {"required": "a"}, "required"),
    ("json_schema", {"enum": []}, "enum"),
    ("json_schema", {"type": "integer", "minimum": 5, "maximum": 3}, "no text matches"),
    ("json_schema", {"type": "array", "items": [{}]}, "as a list"),
    ("json_schema", {"minimum": "1"}, "is not a number"),
    ("json_schema", [], "must be an object"),
    ("regex", "a(?!b)", "look-around"),
    ("regex", "(a)\\1", "\\1"),
    ("regex", "(a", "without its )"),
    ("regex", "a)", "without its ("),
    ("regex", "[b-a]", "range"),
    ("regex", "[]", "empty class"),
    ("regex", "a**", "quantifier"),
    ("regex", "a{3,2}", "empty"),
    ("regex", "a{", "{m}"),
    ("regex", "\\p{L}", "\\p"),
    ("regex", "a\\b", "\\b"),
    ("regex", "x^", "ends of the pattern"),
    ("regex", "\\ud800", "hexadecimal"),
    ("choice", "", "empty"),
    ("gbnf", "", "\"root\" is not defined"),
    ("gbnf", "root ::= x", "\"x\" is not defined"),
    ("gbnf", 'root ::= root "a" | "b"', "left recursion"),
    ("gbnf", 'root ::= x root\nx ::= "a"?', "no text matches"),
    ("gbnf", 'root ::= x root | "b"\nx ::= "a"?', "left recursion"),
    ("gbnf", 'root ::= "a', "without its end"),
    ("gbnf", 'root ::= "a" root', "no text matches"),
    ("gbnf", 'root ::= "a" )', "must end"),
    ("gbnf", 'root ::= "a"\nroot ::= "b"', "defined twice"),
]


@pytest.mark.parametrize("kind, text, named", REFUSED)
def test_refused_by_name(check, kind, text, named):
    answer = check(kind, text if isinstance(text, str) else json.dumps(text))
    assert named in answer["error"] + " " + answer["where"], answer
