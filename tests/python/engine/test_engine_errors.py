"""What Engine and its calls refuse: the key, the value and what would do are named."""

import logging

import numpy as np
import pytest
from program import MODEL

import vortex
from vortex.errors import (
    ConfigurationError,
    DataLossError,
    InvalidArgumentError,
    NotFoundError,
    UnsupportedError,
    VortexError,
)


def make(**keywords):
    return vortex.Engine(MODEL, offline=True, log_level="error", **keywords)


@pytest.mark.parametrize(
    "keywords, parts",
    [
        ({"page_sise": 16}, ["page_sise", "did you mean 'page_size'"]),
        ({"max_running_request": 16}, ["did you mean 'max_running_requests'"]),
        ({"quux_frobnicate": 1}, ["no keyword 'quux_frobnicate'"]),
        ({"page_size": [16]}, ["page_size", "list is no setting"]),
        ({"vortex": 3}, ["a int is no configuration"]),
        ({"vortex": ["topk_val"]}, ["a list is no configuration"]),
    ],
)
def test_keywords_that_are_none(keywords, parts):
    with pytest.raises(TypeError) as caught:
        make(**keywords)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "keywords, kind, parts",
    [
        ({"page_size": 0}, ConfigurationError, ["page_size", "1 to 4096"]),
        ({"page_size": 24, "vortex": {"module_name": "gqa_quest_sparse_attention"}}, ConfigurationError, ["24", "16"]),
        ({"dtype": "float8"}, ConfigurationError, ["dtype", "float8", "bfloat16"]),
        ({"context_length": -5}, ConfigurationError, ["context_length", "-5"]),
        ({"max_running_requests": 10**30}, ConfigurationError, ["max_num_seqs"]),
        ({"tp_size": 3}, UnsupportedError, ["tensor_parallel_size: 3 ranks", "2 kv heads"]),
        ({"device": "cuda"}, UnsupportedError, ["device: ", "use device cpu or auto"]),
        ({"quantization": "fp8"}, UnsupportedError, ["quantization", "'fp8'"]),
        ({"speculative_algorithm": "EAGLE"}, UnsupportedError, ["speculative_algorithm"]),
        ({"vortex_config": "{}"}, UnsupportedError, ["vortex_config", "give it as vortex"]),
        ({"vortex": "{"}, ConfigurationError, ["vortex", "not JSON"]),
        ({"vortex": "[1]"}, ConfigurationError, ["not a JSON object"]),
        ({"vortex": {"topk_vall": 3}}, ConfigurationError, ["topk_vall", "did you mean 'topk_val'"]),
        ({"vortex": {"module_name": "x", "topk_val": 0}}, ConfigurationError, ["topk_val", "0", "1 to"]),
        ({"vortex": {"module_name": "x", "topk_val": "5"}}, ConfigurationError, ["topk_val", "quotes"]),
        ({"vortex": {"module_name": "x", "block_size": 12}}, ConfigurationError, ["block_size", "12", "8 or 16"]),
        ({"vortex": {"module_name": "gqa_quest_attention"}}, ConfigurationError, ["gqa_quest_sparse_attention"]),
        ({"vortex": {"module_name": "quest_mla"}}, ConfigurationError, ["quest_mla", "mla"]),
        (
            {"vortex": {"module_name": "block_sparse_attention", "layers_skip": [9]}},
            ConfigurationError,
            ["layers_skip"],
        ),
        ({"enable_vortex_sparsity": True, "vortex_topk": 3}, ConfigurationError, ["vortex_topk", "topk_val"]),
    ],
)
def test_settings_that_cannot_be(keywords, kind, parts):
    with pytest.raises(kind) as caught:
        make(**keywords)
    assert isinstance(caught.value, VortexError)
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_models_that_are_none(tmp_path):
    with pytest.raises(NotFoundError, match="recall-gqa"):
        vortex.Engine("recall-gpa", offline=True)
    with pytest.raises(VortexError, match="nowhere"):
        vortex.Engine(tmp_path / "nowhere", offline=True)
    (tmp_path / "cut.gguf").write_bytes(b"GGUF\x03")
    with pytest.raises(DataLossError, match=r"cut\.gguf"):
        vortex.Engine(tmp_path / "cut.gguf", offline=True)


def test_environment_settings_count_below_keywords(monkeypatch):
    monkeypatch.setenv("VORTEX_MAX_MODEL_LEN", "2048")
    monkeypatch.setenv("VORTEX_MAX_NUM_SEQS", "2")
    with make() as engine:
        assert engine.info.max_model_len == 2048
    with make(context_length="1K") as engine:
        assert engine.info.max_model_len == 1024
    monkeypatch.setenv("VORTEX_MAX_MODEL_LEN", "many")
    with pytest.raises(ConfigurationError, match="VORTEX_MAX_MODEL_LEN"):
        make()


def test_hints_are_told_and_neutral_values_taken(caplog):
    caplog.set_level(logging.INFO, "vortex")
    with make(disable_overlap_schedule=True, mem_fraction_static=0.8, quantization=None, dp_size=1, max_num_seqs=2):
        pass
    told = [record.getMessage() for record in caplog.records]
    assert [line.split(":")[0] for line in told] == ["disable_overlap_schedule", "mem_fraction_static"]
    assert "kv_cache_memory_bytes" in told[1]


def test_flat_keys_need_their_switch():
    flat = {"vortex_module_name": "gqa_quest_sparse_attention", "vortex_topk_val": 5, "max_running_requests": 2}
    with pytest.warns(UserWarning, match=r"vortex_module_name, vortex_topk_val: discarded.*enable_vortex_sparsity"):
        dense = make(**flat)
    with dense:
        assert dense.info.flow is None
    with make(enable_vortex_sparsity=True, **flat) as sparse:
        assert sparse.info.vortex.topk_val == 5 and sparse.info.flow == "gqa_quest_sparse_attention"
    with pytest.warns(UserWarning, match="vortex_topk_val: discarded, an object"):
        other = make(vortex={"module_name": "sketch2_sparse_attention"}, vortex_topk_val=5, max_running_requests=2)
    with other:
        assert other.info.vortex.topk_val == 30


@pytest.mark.parametrize(
    "params, parts",
    [
        ({"max_tokens": 3}, ["max_tokens", "did you mean 'max_new_tokens'"]),
        ({"temprature": 0}, ["did you mean 'temperature'"]),
        ({"max_new_tokens": -1}, ["max_new_tokens", "-1", "0 to"]),
        ({"max_new_tokens": 10**40}, ["max_new_tokens"]),
        ({"max_new_tokens": 2.5}, ["max_new_tokens", "2.5"]),
        ({"max_new_tokens": True}, ["max_new_tokens", "True"]),
        ({"temperature": "hot"}, ["temperature", "'hot'", "a number"]),
        ({"temperature": -1}, ["temperature", "-1", "0 to 100"]),
        ({"temperature": float("nan")}, ["temperature", "nan"]),
        ({"top_p": 0}, ["top_p", "above 0"]),
        ({"top_k": -2}, ["top_k", "-1 to"]),
        ({"n": 0}, ["n:", "1 to 1024"]),
        ({"n": 10**9}, ["n:", "1 to 1024"]),
        ({"seed": 2**64}, ["seed"]),
        ({"stop": [""]}, ["stop", "1 to 4096"]),
        ({"stop": [1]}, ["stop", "a text"]),
        ({"stop_token_ids": [4096]}, ["stop_token_ids", "4096", "4095"]),
        ({"stop_token_ids": [-1]}, ["stop_token_ids", "-1"]),
        ({"logit_bias": {"5": 101}}, ["logit_bias", "101", "-100 to 100"]),
        ({"logit_bias": {"five": 1}}, ["logit_bias", "five"]),
        ({"logit_bias": [5]}, ["logit_bias", "dict"]),
        ({"ignore_eos": 1}, ["ignore_eos", "True or False"]),
        ({"regex": "(", "max_new_tokens": 4}, ["regex"]),
        ({"regex": "a", "ebnf": 'root ::= "a"'}, ["regex and ebnf", "give one"]),
        ({"json_schema": 5}, ["json_schema", "5"]),
        ({"vortex": {"topk": 3}}, ["vortex", "'topk'", "topk_val"]),
        ({"vortex": {"topk_val": -3}}, ["vortex.topk_val", "-3"]),
        ({"vortex": {"topk_ratio": 1.5}}, ["topk_ratio", "1.5"]),
        ({"vortex": 3}, ["vortex", "3", "a dict"]),
        (3, ["sampling_params", "dict"]),
    ],
)
def test_sampling_parameters_that_cannot_be(sparse, params, parts):
    with pytest.raises(InvalidArgumentError) as caught:
        sparse.generate("One day", params)
    for part in parts:
        assert part in str(caught.value)


def test_prompts_that_cannot_be(dense):
    few = {"max_new_tokens": 1}
    cases = [
        ({}, "either prompt or input_ids"),
        ({"prompt": "a", "input_ids": [1]}, "either prompt or input_ids"),
        ({"prompt": 5}, "neither a text nor a list"),
        ({"prompt": ["a", 5]}, "neither a text nor a list"),
        ({"input_ids": [4096]}, "token id 4096 is not in the vocabulary of 4096"),
        ({"input_ids": [-1]}, "token id -1"),
        ({"input_ids": [2**40]}, f"token id {2**40}"),
        ({"input_ids": [0.5]}, "whole numbers"),
        ({"input_ids": np.zeros((2, 2, 2), np.int32)}, "flat list"),
        ({"input_ids": []}, "no tokens"),
        ({"input_ids": [5] * 9000}, "8192"),
        ({"prompt": ["a", "b"], "sampling_params": [few]}, "1 of them for 2 prompts"),
    ]
    for arguments, part in cases:
        with pytest.raises(InvalidArgumentError) as caught:
            dense.generate(**arguments)
        assert part in str(caught.value), arguments
    with pytest.raises(TypeError, match="top_logprob"):
        dense.generate("a", few, top_logprob=3)
    with pytest.raises(InvalidArgumentError, match="top_logprobs_num"):
        dense.generate("a", few, return_logprob=True, top_logprobs_num=-1)
    with pytest.raises(InvalidArgumentError, match="logprobs"):
        dense.generate("a", few, return_logprob=True, top_logprobs_num=5000)
    assert dense.generate([], few) == []


def test_one_bad_prompt_keeps_the_others_from_running(dense):
    before = dense.stats()["prompt_tokens"]
    with pytest.raises(InvalidArgumentError, match="9999"):
        dense.generate(input_ids=[[5, 6], [9999]], sampling_params={"max_new_tokens": 1})
    dense.generate("a", {"max_new_tokens": 1})
    assert dense.stats()["prompt_tokens"] <= before + 2


def test_conversations_that_cannot_be(dense):
    for messages, part in [([{"role": "user", "content": "\ud800"}], "messages"), ([{"a": nested(100)}], "messages")]:
        with pytest.raises(VortexError, match=part):
            dense.chat(messages)


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value
