"""What chat completions say: template, tools, structured output, sparsity, tokens."""

import json

import jsonschema
import pytest
from api import CHAT, HI, TEXT, ask, chat, complete, ok, refused, stream
from serving import start_vortex
from wire import assert_error, get

TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "parameters": {
            "type": "object",
            "properties": {"key": {"enum": ["red", "blue"]}},
            "required": ["key"],
            "additionalProperties": False,
        },
    },
}


def tokens(server, **body):
    return ok(ask(server, "/tokenize", body))


def test_the_template_makes_the_prompt(server):
    by_chat = chat(server, max_tokens=4, return_token_ids=True)
    rendered = "<|im_start|>user\nHi there<|im_end|>\n<|im_start|>assistant\n"
    assert tokens(server, messages=HI)["tokens"] == by_chat["prompt_token_ids"]
    # The same text typed by a user has no special tokens: more tokens.
    assert tokens(server, prompt=rendered)["count"] > len(by_chat["prompt_token_ids"])
    text = ok(ask(server, "/detokenize", {"tokens": by_chat["prompt_token_ids"]}))
    assert text["prompt"] == text["content"] == rendered
    by_text = complete(server, by_chat["prompt_token_ids"], max_tokens=4)
    assert by_text["choices"][0]["text"] == by_chat["choices"][0]["message"]["content"]


def test_parts_are_lines_of_one_text(server):
    parts = [{"type": "text", "text": "Hi"}, {"type": "text", "text": "there"}]
    one = tokens(server, messages=[{"role": "user", "content": "Hi\nthere"}])
    assert tokens(server, messages=[{"role": "user", "content": parts}])["tokens"] == one["tokens"]


def test_continue_final_message(server):
    messages = [*HI, {"role": "assistant", "content": "Well, "}]
    ids = tokens(server, messages=messages, continue_final_message=True)["tokens"]
    text = ok(ask(server, "/detokenize", {"tokens": ids}))["prompt"]
    assert text.endswith("<|im_start|>assistant\nWell,")
    body = {"messages": messages, "continue_final_message": True}
    refused(server, CHAT, body | {"add_generation_prompt": True}, "continue_final_message")
    refused(server, CHAT, {"messages": [{"role": "user", "content": " "}], "continue_final_message": True},
            "continue_final_message")


def test_case_31_special_tokens_as_plain_text(server):
    for text in ("<|im_start|>system", "<|image_pad|>", "</s>", "<|endoftext|>", "a<|im_end|>\n<|im_start|>b"):
        plain = tokens(server, prompt=text, add_special_tokens=False)
        assert not set(plain["tokens"]) & {0, 1, 2}
        assert ok(ask(server, "/detokenize", {"tokens": plain["tokens"]}))["prompt"] == text
        ids = tokens(server, messages=[{"role": "user", "content": text}])["tokens"]
        assert ids.count(1) == 2 and ids.count(2) == 1 and 0 not in ids


def test_case_32_templates_come_from_nobody(server):
    for template in ("{% for i in range(10**12) %}x{% endfor %}", "{{ 'a' * 10**9 }}", "(" * 200, "{{ messages }}"):
        for path in (CHAT, "/tokenize"):
            body = {"messages": HI, "chat_template": template}
            refused(server, path, body, "chat_template", "unsupported_parameter")


def test_case_33_the_templates_inputs_are_not_for_requests(server):
    for key in ("tokenize", "messages", "__class__", "tools", "bos_token", "add_generation_prompt", "chat_template"):
        body = {"messages": HI, "chat_template_kwargs": {key: True}}
        refused(server, CHAT, body, f"chat_template_kwargs.{key}")
    chat(server, chat_template_kwargs={"enable_thinking": False})


def test_streaming_says_what_the_whole_answer_says(server):
    body = {"messages": HI, "max_tokens": 10, "logprobs": True, "top_logprobs": 2, "n": 2, "temperature": 1,
            "seed": 5, "ignore_eos": True}
    whole = ok(ask(server, CHAT, body))
    events = stream(server, CHAT, body | {"stream_options": {"include_usage": True}})
    for choice in whole["choices"]:
        own = [c for event in events for c in event["choices"] if c["index"] == choice["index"]]
        assert own[0]["delta"] == {"role": "assistant", "content": ""}
        assert "".join(c["delta"].get("content", "") for c in own) == choice["message"]["content"]
        logprobs = [entry for c in own if c["logprobs"] for entry in c["logprobs"]["content"]]
        assert logprobs == choice["logprobs"]["content"]
        assert own[-1]["delta"] == {} and own[-1]["finish_reason"] == choice["finish_reason"] == "length"
        for entry in logprobs:
            assert len(entry["top_logprobs"]) == 2
            assert bytes(entry["bytes"]).decode(errors="replace") == entry["token"]
    for key in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert events[-1]["usage"][key] == whole["usage"][key]


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "look_up"}}])
def test_a_call_that_must_be_made(server, choice):
    # The grammar allows blanks between the parts; a bias keeps a model that knows no JSON from dwelling on them.
    body = {"messages": HI, "tools": [TOOL], "tool_choice": choice, "max_tokens": 200, "parallel_tool_calls": False,
            "temperature": 0}
    bias = {str(t): -100 for text in ("\n", " ", "  ", "    ", "\t", "\n\n")
            for t in tokens(server, prompt=text, add_special_tokens=False)["tokens"]}
    body["logit_bias"] = bias
    answer = ok(ask(server, CHAT, body))["choices"][0]
    (call,) = answer["message"]["tool_calls"]
    assert call["type"] == "function" and call["id"] and call["function"]["name"] == "look_up"
    jsonschema.validate(json.loads(call["function"]["arguments"]), TOOL["function"]["parameters"])
    assert answer["message"]["content"] is None
    assert answer["finish_reason"] == ("tool_calls" if choice == "required" else "stop")
    deltas = [c["delta"] for event in stream(server, CHAT, body) for c in event["choices"]]
    pieces = [piece for delta in deltas for piece in delta.get("tool_calls", [])]
    assert pieces[0]["function"]["name"] == "look_up" and {piece["index"] for piece in pieces} == {0}
    assert "".join(piece["function"]["arguments"] for piece in pieces) == call["function"]["arguments"]


def test_spellings_of_a_constraint_agree(server):
    choices = ["alpha", "beta"]
    wanted = [{"structured_outputs": {"choice": choices}}, {"guided_choice": choices}, {"guided_regex": "alpha|beta"},
              {"structured_outputs": {"regex": "alpha|beta"}}, {"grammar": 'root ::= "alpha" | "beta"'},
              {"guided_grammar": 'root ::= "alpha" | "beta"'}]
    texts = {complete(server, "Say", max_tokens=20, **fields)["choices"][0]["text"] for fields in wanted}
    assert len(texts) == 1 and texts <= set(choices)
    assert_error(ask(server, TEXT, {"prompt": "a", "guided_regex": "("}), 400)


def test_the_sparsity_report(server):
    whole = chat(server, vortex={"report": True})
    assert whole["vortex"]["active"] is False and whole["vortex"]["pages_read"] == 0
    assert "vortex" not in chat(server)
    events = stream(server, CHAT, {"messages": HI, "max_tokens": 2, "vortex": {"report": True}})
    assert "vortex" in events[-1] and not any("vortex" in event for event in events[:-1])


def test_requests_choose_their_pages():
    config = json.dumps({"module_name": "block_sparse_attention", "topk_val": 4, "max_topk_val": 8})
    sparse = start_vortex("--vortex-config", config)
    try:
        prompt = list(range(100, 1500))

        def report(**own):
            answer = complete(sparse, prompt, max_tokens=4, ignore_eos=True, vortex={"report": True} | own)
            return answer["vortex"]

        usual, fewer, more, dense = report(), report(topk_val=1), report(topk_val=8), report(dense=True)
        assert usual["active"] and fewer["pages_read"] < usual["pages_read"] < more["pages_read"]
        assert dense["steps_sparse"] == 0 and dense["read_fraction"] == 1
        refused(sparse, TEXT, {"prompt": "a", "vortex": {"topk_val": 9}}, "vortex.topk_val")
        text = sparse.ask(get("/metrics")).body.decode()
        assert 'vortex:sparse_pages_read_total{model_name="recall-gqa",engine="0"} ' in text
    finally:
        sparse.stop()


def test_budgets_can_be_the_operators_alone():
    fixed = start_vortex("--no-allow-request-budgets")
    try:
        refused(fixed, TEXT, {"prompt": "a", "vortex": {"topk_val": 1}}, "vortex.topk_val", "unsupported_parameter")
        ok(ask(fixed, TEXT, {"prompt": "a", "max_tokens": 1, "vortex": {"report": True}}))
    finally:
        fixed.stop()


def test_tokens_there_and_back(server):
    text = "Round trip: \u00e9\u20ac\U0001f600 1234 \n\t end"
    answer = tokens(server, prompt=text, return_token_strs=True)
    assert answer["count"] == len(answer["tokens"]) == len(answer["token_strs"]) and answer["max_model_len"] == 32768
    assert ok(ask(server, "/detokenize", {"tokens": answer["tokens"]}))["prompt"] == text
    llama = tokens(server, content=text, with_pieces=True)
    assert [entry["id"] for entry in llama["tokens"]] == answer["tokens"]
    for bad in ([-1], [4096], ["a"], [1.5], "x"):
        refused(server, "/detokenize", {"tokens": bad}, "tokens")
    refused(server, "/tokenize", {}, "prompt")


def test_routes_of_the_models(server):
    (model,) = server.ask(get("/v1/models")).json()["data"]
    assert model["id"] == "recall-gqa" and model["object"] == "model" and model["max_model_len"] == 32768
    assert server.ask(get("/v1/models/recall-gqa")).json() == model
    assert_error(server.ask(get("/v1/models/other")), 404)
    assert server.ask(get("/version")).json().keys() == {"version"}
    assert server.ask(get("/health_generate")).json() == {"status": "ok"}
    assert_error(server.ask(get("/tokenizer_info")), 404)
    for path in ("/v1/embeddings", "/v1/rerank", "/v1/score", "/v1/responses", "/v1/messages"):
        error = assert_error(ask(server, path, {}), 501, "not_supported", "not_supported_error")
        assert path in error["message"]


def test_tokenizer_info_shows_the_template_where_it_is_allowed():
    served = start_vortex("--enable-tokenizer-info-endpoint", "--served-model-name", "a, b")
    try:
        info = served.ask(get("/tokenizer_info")).json()
        assert "<|im_start|>" in info["chat_template"] and info["eos_token"] == "<|im_end|>"
        assert [model["id"] for model in served.ask(get("/v1/models")).json()["data"]] == ["a", "b"]
        assert chat(served, model="b")["model"] == "b"
        refused(served, CHAT, {"messages": HI, "model": "recall-gqa"}, "model", "model_not_found", status=404)
    finally:
        served.stop()
