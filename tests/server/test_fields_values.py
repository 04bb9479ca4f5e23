"""Every field with every wrong value: 400 that names the field, never 500 (reliability cases 16 to 26, 37, 38)."""

import json

import pytest
from api import CHAT, HI, TEXT, ask, chat, complete, ok, refused, stream
from serving import start_vortex
from wire import assert_error, get

NUMBERS = {
    "temperature": (0, 100),
    "top_p": (0.0001, 1),
    "min_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "repetition_penalty": (0.001, 1000),
}
INTEGERS = ["max_tokens", "n", "top_k", "seed", "min_tokens", "priority", "truncate_prompt_tokens", "prompt_logprobs"]
BOOLEANS = ["stream", "ignore_eos", "echo", "skip_special_tokens", "include_stop_str_in_output", "add_special_tokens"]


def raw(field, text):
    return ('{"prompt":"a","max_tokens":1,"%s":%s}' % (field, text)).replace(
        '"max_tokens":1,"max_tokens"', '"max_tokens"'
    ).encode()


def test_case_16_wrong_types_and_impossible_numbers(unharmed):
    with unharmed():
        for field in NUMBERS:
            for text in ("1e999", '"1"', "true", "[]", "{}", "-1e300", "1e300"):
                refused(unharmed.server, TEXT, raw(field, text), field)
        for field in INTEGERS:
            for text in ("1e999", "1.5", '"1"', "true", "[1]", "1e300", "9223372036854775808", "1e19"):
                refused(unharmed.server, TEXT, raw(field, text), field)
        for field in BOOLEANS:
            for text in ("1", '"true"', "[]", "0.0"):
                refused(unharmed.server, TEXT, raw(field, text), field)


def test_case_16_whole_numbers_and_negative_zero_count(server):
    for field, text in (("max_tokens", "1.0"), ("temperature", "-0"), ("temperature", "-0.0"), ("n", "1e0")):
        ok(ask(server, TEXT, raw(field, text)))


def test_case_16_null_is_absence(server):
    nulls = dict.fromkeys([*NUMBERS, *INTEGERS, *BOOLEANS, "stop", "logit_bias", "suffix", "model", "user", "vortex"])
    del nulls["max_tokens"]
    assert complete(server, "Hello world", **nulls)["choices"] == complete(server, "Hello world")["choices"]
    for path, field in ((TEXT, "prompt"), (CHAT, "messages")):
        refused(server, path, {field: None}, field, "missing_required_parameter")


BAD_MESSAGES = {
    "messages": ["a", 1, {}, [], [1], ["a"]],
    "messages[0].role": [[{"content": "a"}], [{"role": 1, "content": "a"}], [{"role": "root", "content": "a"}]],
    "messages[0].content": [
        [{"role": "user"}],
        [{"role": "user", "content": None}],
        [{"role": "user", "content": []}],
        [{"role": "user", "content": 1}],
        [{"role": "user", "content": {}}],
    ],
    "messages[0].content[0].type": [[{"role": "user", "content": [{"text": "a"}]}]],
    "messages[0].content[0].text": [
        [{"role": "user", "content": [{"type": "text"}]}],
        [{"role": "user", "content": [{"type": "text", "text": 1}]}],
    ],
    "messages[1].tool_calls": [[*HI, {"role": "assistant", "tool_calls": 1}]],
    "messages[1].tool_calls[0].function": [[*HI, {"role": "assistant", "tool_calls": [1]}]],
    "messages[1].tool_calls[0].function.arguments": [
        [*HI, {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}],
        [*HI, {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "[" * 100}}]}],
    ],
}


def test_case_17_conversations_that_are_none(unharmed):
    with unharmed():
        for param, values in BAD_MESSAGES.items():
            for messages in values:
                refused(unharmed.server, CHAT, {"messages": messages}, param)


def test_case_17_prompts_that_are_empty(server):
    for prompt in ("", [], [[]], [""], ["a", ""], [[1], []], [[[1]]], ["a", 1], [1, "a"], [None], [{}]):
        refused(server, TEXT, {"prompt": prompt}, "prompt")


def test_case_18_token_ids(server):
    vocabulary = 4096
    for token in (-1, vocabulary, 10**18, 2**63, 1.5, 1e300):
        for prompt in ([token], [[token]], [1, token], [[1], [1, token]]):
            refused(server, TEXT, {"prompt": prompt}, "prompt")
    ok(ask(server, TEXT, {"prompt": [vocabulary - 1], "max_tokens": 1}))


def test_case_19_counts_of_answers(server):
    for n in (0, -1, 129, 10**6, 2**31):
        refused(server, TEXT, {"prompt": "a", "n": n}, "n")
    refused(server, TEXT, {"prompt": "a", "n": 3, "best_of": 2}, "best_of")
    refused(server, TEXT, {"prompt": "a", "best_of": 10**6}, "best_of")
    refused(server, TEXT, {"prompt": "a", "best_of": 2, "stream": True}, "best_of")
    refused(server, TEXT, {"prompt": ["a"] * 1000, "n": 100}, "prompt")


def test_case_20_lengths(server):
    for path, prompt in ((TEXT, {"prompt": "a"}), (CHAT, {"messages": HI})):
        for value in (-1, 0, 2**31, 2**63):
            refused(server, path, prompt | {"max_tokens": value}, "max_tokens")
        error = refused(server, path, prompt | {"max_tokens": 32768}, list(prompt)[0], "context_length_exceeded")
        assert "32768" in error["message"] and "asked for" in error["message"]
    ids = [5] * 32768
    error = refused(server, TEXT, {"prompt": ids}, "prompt", "context_length_exceeded")
    assert "32768" in error["message"]
    # vLLM's way out: the last tokens only.
    answer = complete(server, ids, truncate_prompt_tokens=7, max_tokens=1)
    assert answer["usage"]["prompt_tokens"] == 7


def test_case_21_logprobs(server):
    for value in (-1, 21, 10**6):
        refused(server, TEXT, {"prompt": "a", "logprobs": value}, "logprobs")
        refused(server, TEXT, {"prompt": "a", "prompt_logprobs": value}, "prompt_logprobs")
        refused(server, CHAT, {"messages": HI, "logprobs": True, "top_logprobs": value}, "top_logprobs")
    refused(server, CHAT, {"messages": HI, "top_logprobs": 2}, "top_logprobs")
    refused(server, CHAT, {"messages": HI, "logprobs": False, "top_logprobs": 2}, "top_logprobs")
    refused(server, CHAT, {"messages": HI, "logprobs": 1}, "logprobs")


def test_case_22_biases(unharmed):
    with unharmed():
        bad = [{"4096": 1}, {"-1": 1}, {"a": 1}, {"1": 101}, {"1": -101}, {"1": "1"}, {"1": None}, {"": 1}, {"1.0": 1}]
        bad += [{str(i): 1 for i in range(10**5)}, {"9" * 30: 1}, [1], "x"]
        for bias in bad:
            refused(unharmed.server, TEXT, {"prompt": "a", "logit_bias": bias}, "logit_bias")
        refused(unharmed.server, TEXT, b'{"prompt":"a","logit_bias":{"1":1e999}}', "logit_bias", "invalid_json")


def test_case_23_stops(unharmed):
    with unharmed():
        for stop in ("", [""], ["a"] * 5, "x" * 10_000_000, ["a", "x" * 4097], [1], {"a": 1}):
            refused(unharmed.server, TEXT, {"prompt": "a", "stop": stop}, "stop")


def test_case_24_out_of_range(server):
    for field, value in (
        ("temperature", -1),
        ("temperature", -0.001),
        ("top_p", 0),
        ("top_p", 2),
        ("min_p", 1.1),
        ("seed", 2**63),
        ("presence_penalty", 3),
        ("repetition_penalty", 0),
        ("min_tokens", -1),
    ):
        refused(server, TEXT, {"prompt": "a", field: value}, field)
    refused(server, TEXT, {"prompt": "a", "stream_options": {"include_usage": True}}, "stream_options")
    refused(server, TEXT, {"prompt": "a", "stream": True, "stream_options": {"include_usage": 1}}, "stream_options")


REFUSED = {
    CHAT: {
        "audio": {},
        "prediction": {},
        "web_search_options": {},
        "functions": [],
        "function_call": "auto",
        "verbosity": "low",
        "store": True,
        "service_tier": "priority",
        "modalities": ["text", "audio"],
        "chat_template": "{{ messages }}",
        "mm_processor_kwargs": {},
        "use_beam_search": True,
        "bad_words": ["a"],
        "allowed_token_ids": [1],
        "logits_processors": [],
        "kv_transfer_params": {},
        "best_of": 2,
    },
    TEXT: {"suffix": "b", "prompt_embeds": "x", "length_penalty": 2, "structural_tag": "x", "vllm_xargs": {}},
}


def test_case_25_known_but_not_supported(server):
    for path, fields in REFUSED.items():
        for field, value in fields.items():
            body = {"messages": HI, "prompt": "a", field: value}
            refused(server, path, body, field, "unsupported_parameter")


def test_case_25_what_clients_send_by_habit_works(server):
    habits = {
        "user": "u",
        "metadata": {"a": "b"},
        "store": False,
        "service_tier": "auto",
        "modalities": ["text"],
        "parallel_tool_calls": True,
        "prompt_cache_key": "k",
        "reasoning_effort": "low",
        "response_format": {"type": "text"},
        "tool_choice": "none",
        "safety_identifier": "s",
    }
    assert chat(server, **habits)["choices"] == chat(server)["choices"]


def test_case_25_strict_fields():
    strict = start_vortex("--strict-fields")
    try:
        refused(strict, TEXT, {"prompt": "a", "promt": "b"}, "promt", "unknown_parameter")
        ok(ask(strict, TEXT, {"prompt": "a", "max_tokens": 1}))
    finally:
        strict.stop()


def test_case_26_model_names_are_looked_up_only(unharmed):
    names = ["../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "", "Recall-GQA", "recall-gqa\u0000"]
    names.append("x" * 1_000_000)
    with unharmed():
        for path in (CHAT, TEXT, "/tokenize", "/detokenize"):
            for name in names:
                body = {"messages": HI, "prompt": "a", "tokens": [1], "model": name}
                error = refused(unharmed.server, path, body, "model", "model_not_found", status=404)
                assert len(error["message"]) < 200 and "recall-gqa is" in error["message"]
        assert b"passwd" not in unharmed.server.ask(get("/metrics")).body


def test_structured_output_is_one_thing_at_a_time(server):
    schema = {"type": "object"}
    for body in (
        {"response_format": {"type": "json_object"}, "guided_regex": "a"},
        {"structured_outputs": {"regex": "a", "choice": ["b"]}},
        {"guided_json": schema, "guided_grammar": 'root ::= "a"'},
    ):
        refused(server, TEXT, {"prompt": "a"} | body, "structured_outputs")
    refused(server, TEXT, {"prompt": "a", "response_format": {"type": "xml"}}, "response_format.type")
    refused(server, TEXT, {"prompt": "a", "structured_outputs": {"xml": 1}}, "structured_outputs.xml")


def test_tool_choice_needs_tools(server):
    tool = {"type": "function", "function": {"name": "f"}}
    refused(server, CHAT, {"messages": HI, "tool_choice": "auto"}, "tool_choice")
    refused(server, CHAT, {"messages": HI, "tools": []}, "tools")
    refused(server, CHAT, {"messages": HI, "tools": [tool], "tool_choice": "some"}, "tool_choice")
    other = {"type": "function", "function": {"name": "g"}}
    refused(server, CHAT, {"messages": HI, "tools": [tool], "tool_choice": other}, "tool_choice")
    for bad in ({"type": "x"}, {"type": "function"}, {"type": "function", "function": {"name": "a b"}}):
        error = assert_error(ask(server, CHAT, {"messages": HI, "tools": [bad]}), 400)
        assert error["param"].startswith("tools[0]")


def test_sparsity_extension_is_numbers_within_limits(server):
    for key, value in (("topk_val", -1), ("topk_val", 1.5), ("topk_ratio", 2), ("dense", 1), ("module_path", "x.py")):
        refused(server, TEXT, {"prompt": "a", "vortex": {key: value}}, f"vortex.{key}")
    refused(server, TEXT, {"prompt": "a", "vortex": "x"}, "vortex")


MEDIA = [
    {"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}},
    {"type": "image_url", "image_url": {"url": "http://ok.com\\@127.0.0.1/"}},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
    {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    {"type": "video_url", "video_url": {"url": "http://127.0.0.1/"}},
    {"type": "file", "file": {"file_id": "x"}},
]


def test_case_37_nothing_is_ever_fetched(unharmed):
    import socket

    with socket.socket() as listener, unharmed():
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.3)
        url = "http://127.0.0.1:%d/a.png" % listener.getsockname()[1]
        for part in [*MEDIA, {"type": "image_url", "image_url": {"url": url}}]:
            body = {"messages": [{"role": "user", "content": [{"type": "text", "text": "see"}, part]}]}
            error = assert_error(ask(unharmed.server, CHAT, body), 501, "not_supported", "not_supported_error")
            assert error["param"] == "messages[0].content[1]" and "text only" in error["message"]
        with pytest.raises(TimeoutError):
            listener.accept()


def test_case_37_a_link_inside_text_is_text(server):
    chat(server, messages=[{"role": "user", "content": "![x](http://127.0.0.1:9/a.png)"}])


def test_case_38_hostile_images_are_never_decoded(unharmed):
    bomb = "data:image/png;base64," + "A" * 1_000_000
    with unharmed():
        before = unharmed.server.memory()
        for _ in range(5):
            part = {"type": "image_url", "image_url": {"url": bomb}}
            answer = ask(unharmed.server, CHAT, {"messages": [{"role": "user", "content": [part]}]})
            error = assert_error(answer, 501)
            assert "0x" not in error["message"]
        assert unharmed.server.memory() - before < 64 << 20


def test_a_stream_that_is_refused_has_a_status(server):
    refused(server, TEXT, {"prompt": "a", "n": 0, "stream": True}, "n")
    refused(server, CHAT, {"messages": HI, "stream": True, "max_tokens": 10**6}, "messages", "context_length_exceeded")
    assert len(stream(server, TEXT, {"prompt": "a", "max_tokens": 2})) >= 1


def test_every_field_of_the_openapi_file_takes_its_null(server):
    document = json.loads(server.ask(get("/openapi.json")).body)
    for path, name, required in ((CHAT, "CreateChatCompletionRequest", {"messages": HI}),
                                 (TEXT, "CreateCompletionRequest", {"prompt": "a"})):
        properties = document["components"]["schemas"][name]["properties"]
        assert len(properties) > 40
        nulls = {field: None for field in properties if field not in required}
        ok(ask(server, path, required | nulls | {"max_tokens": 1}))
