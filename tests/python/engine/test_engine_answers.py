"""What Engine answers: the tokens of `vortex run`, alone and in batches, and what a request can ask for."""

import json
import re
import time

import numpy as np
import pytest
from program import MODEL, ROOT, vortex_json

import vortex
from vortex.errors import UnsupportedError

FLOW = "gqa_quest_sparse_attention"
QUESTION = "What is the special magic number for falcon?"


@pytest.fixture(scope="module")
def prompt(document):
    return document + "\n\n" + QUESTION


def same_answer(result, run):
    assert result["text"] == run["text"]
    meta = result["meta_info"]
    assert meta["finish_reason"]["type"] == run["finish_reason"]
    assert {key: meta[key] for key in run["usage"] if key != "cached_tokens"} == {
        key: value for key, value in run["usage"].items() if key != "cached_tokens"
    }
    assert meta["vortex"] == run["sparsity"]


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "chat"])
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_it_answers_as_the_program_does(request, prompt, kind, raw):
    engine = request.getfixturevalue(kind)
    options = ["--flow", FLOW, "--vortex-config", '{"topk_val": 8}'] if kind == "sparse" else []
    run = vortex_json("run", MODEL, prompt, "-n", 24, *options, *(["--raw"] if raw else []))
    params = {"max_new_tokens": 24}
    ask = engine.generate if raw else engine.chat
    same_answer(ask(prompt if raw else [{"role": "user", "content": prompt}], params), run)
    assert run["usage"]["prompt_tokens"] > 600
    assert run["sparsity"]["steps_sparse"] == (run["usage"]["completion_tokens"] - 1 if kind == "sparse" else 0)


def test_a_model_of_latents_answers_as_the_program_does(prompt):
    run = vortex_json("run", "recall-mla", prompt, "-n", 8, "--flow", "quest_mla", "--vortex-config", '{"topk_val": 8}')
    config = {"module_name": "quest_mla", "topk_val": 8}
    with vortex.Engine("recall-mla", vortex=config, max_running_requests=1, context_length=2048) as engine:
        messages = [{"role": "user", "content": prompt}]
        same_answer(engine.chat(messages, {"max_new_tokens": 8}), run)
        told = engine.explain(input_ids=engine.encode_chat(messages), sampling_params={"max_new_tokens": 2})
    assert engine.info.attention == "mla" and told.rows == 1
    assert told.selected(0, int(told.layers[0]), 0).size == 8 + 1 + 1


def test_it_samples_as_the_program_does(dense):
    options = ["--temperature", 0.9, "--top-p", 0.95, "--top-k", 50, "--sampling-seed", 7, "--repetition-penalty", 1.1]
    run = vortex_json("run", MODEL, "One day", "--raw", "-n", 16, *options)
    params = {"temperature": 0.9, "top_p": 0.95, "top_k": 50, "seed": 7, "repetition_penalty": 1.1}
    same_answer(dense.generate("One day", {**params, "max_new_tokens": 16}), run)


def test_without_parameters_it_is_the_models_own_way_to_its_own_end(dense, prompt):
    run = vortex_json("run", MODEL, prompt, "--max-model-len", 8192)
    result = dense.chat([{"role": "user", "content": prompt}])
    same_answer(result, run)
    assert result["meta_info"]["finish_reason"] == {"type": "stop", "matched": result["output_ids"][-1]}
    assert result["output_ids"][-1] in dense.info.end_ids


def test_a_batch_gives_what_each_prompt_gives_alone(sparse, document):
    prompts = [document + ending for ending in ("A", "The", "falcon", "\n\n")]
    params = [{"max_new_tokens": 6 + i, "ignore_eos": True} for i in range(4)]
    alone = [sparse.generate(prompt, one) for prompt, one in zip(prompts, params, strict=True)]
    together = sparse.generate(prompts, params)
    assert [one["output_ids"] for one in together] == [one["output_ids"] for one in alone]
    assert [len(one["output_ids"]) for one in together] == [6, 7, 8, 9]


def test_token_ids_are_taken_in_every_form(dense):
    ids = dense.encode("The quick brown fox")
    assert ids.dtype == np.int32 and ids.ndim == 1
    params = {"max_new_tokens": 5}
    expected = dense.generate("The quick brown fox", params)["output_ids"]
    for form in (ids, ids.tolist(), tuple(ids.tolist()), ids.astype(np.uint64), ids[::-1][::-1]):
        assert dense.generate(input_ids=form, sampling_params=params)["output_ids"] == expected
    for forms in ([ids, ids.tolist()], np.stack([ids, ids])):
        assert [one["output_ids"] for one in dense.generate(input_ids=forms, sampling_params=params)] == [expected] * 2


def test_text_goes_to_ids_and_back(dense):
    text = "Zażółć <|im_end|> 🙂 12"
    assert dense.decode(dense.encode(text)) == text
    assert not set(dense.encode(text).tolist()) & set(dense.info.end_ids)


def test_a_chat_template_takes_its_inputs(dense):
    messages = [{"role": "user", "content": "Hi"}]
    ids = dense.encode_chat(messages)
    assert dense.decode(ids).startswith("<|im_start|>user\nHi<|im_end|>")
    closed = dense.encode_chat(messages, add_generation_prompt=False)
    assert len(closed) < len(ids) and ids[: len(closed)].tolist() == closed.tolist()


def test_several_answers_have_seeds_of_their_own(dense):
    params = {"max_new_tokens": 8, "temperature": 1.0}
    three = dense.generate("One day", {**params, "n": 3, "seed": 40})
    alone = [dense.generate("One day", {**params, "seed": 40 + i}) for i in range(3)]
    assert [one["output_ids"] for one in three] == [one["output_ids"] for one in alone]
    assert [one["index"] for one in three] == [0, 1, 2]
    assert three[0]["output_ids"] != three[1]["output_ids"]


def test_it_says_what_ended_an_answer(dense):
    plain = dense.generate("One day", {"max_new_tokens": 12})
    assert plain["meta_info"]["finish_reason"] == {"type": "length", "length": 12}
    token = plain["output_ids"][4]
    first = plain["output_ids"].index(token)
    by_token = dense.generate("One day", {"max_new_tokens": 12, "stop_token_ids": [token]})
    assert by_token["output_ids"] == plain["output_ids"][: first + 1]
    assert by_token["meta_info"]["finish_reason"] == {"type": "stop", "matched": token}
    word = plain["text"][5:8]
    by_text = dense.generate("One day", {"max_new_tokens": 12, "stop": word})
    assert by_text["text"] == plain["text"][: plain["text"].index(word)]
    assert by_text["meta_info"]["finish_reason"] == {"type": "stop", "matched": word}
    kept = dense.generate("One day", {"max_new_tokens": 12, "stop": [word], "no_stop_trim": True})
    assert kept["text"] == by_text["text"] + word


def test_probabilities_of_an_answer_are_those_of_the_same_text_as_a_prompt(dense):
    ids = dense.encode("The quick brown fox").tolist()
    answer = dense.generate(
        input_ids=ids, sampling_params={"max_new_tokens": 4}, return_logprob=True, top_logprobs_num=3
    )
    again = dense.generate(
        input_ids=ids + answer["output_ids"],
        sampling_params={"max_new_tokens": 1},
        return_logprob=True,
        logprob_start_len=len(ids),
        return_text_in_logprobs=True,
    )
    told, read = answer["meta_info"]["output_token_logprobs"], again["meta_info"]["input_token_logprobs"]
    assert [token for _, token, _ in told] == answer["output_ids"] == [token for _, token, _ in read]
    np.testing.assert_allclose([p for p, _, _ in told], [p for p, _, _ in read], atol=0.05)
    assert "".join(text for _, _, text in read) == answer["text"]
    for (p, token, _), top in zip(told, answer["meta_info"]["output_top_logprobs"], strict=True):
        assert top[0][:2] == (p, token) and len(top) == 3  # greedy: the likeliest
        assert top[0][0] >= top[1][0] >= top[2][0]


def test_the_first_prompt_token_has_no_probability(dense):
    meta = dense.generate("One day", {"max_new_tokens": 1}, return_logprob=True, logprob_start_len=0)["meta_info"]
    ids = dense.encode("One day").tolist()
    assert meta["input_token_logprobs"][0] == (None, ids[0], None)
    assert [token for _, token, _ in meta["input_token_logprobs"]] == ids
    alone = dense.generate(
        input_ids=ids[:1], sampling_params={"max_new_tokens": 1}, return_logprob=True, logprob_start_len=0
    )
    assert alone["meta_info"]["input_token_logprobs"] == [(None, ids[0], None)]


def test_a_bias_decides(dense):
    result = dense.generate("One day", {"max_new_tokens": 3, "logit_bias": {"77": 100}})
    assert result["output_ids"] == [77, 77, 77]


@pytest.mark.parametrize(
    "grammar, pattern",
    [
        ({"regex": "[0-9]{4}-[ab]{1,3};"}, r"\d{4}-[ab]{1,3};"),
        ({"ebnf": 'root ::= "x" [0-9] [0-9] "y"'}, r"x\d\dy"),
        (
            {"json_schema": {"type": "object", "properties": {"a": {"const": 3}}, "required": ["a"]}},
            r'\{\s*"a"\s*:.*\}',
        ),
        ({"json_schema": '{"enum": ["yes", "no"]}'}, '"(yes|no)"'),
    ],
)
def test_a_grammar_is_obeyed(dense, grammar, pattern):
    result = dense.generate("One day", {"max_new_tokens": 48, "logit_bias": {"0": -100}, **grammar})
    assert re.fullmatch(pattern, result["text"], re.DOTALL), result["text"]
    assert result["meta_info"]["finish_reason"]["type"] == "stop"


def test_a_request_has_its_own_budget(sparse, dense, document):
    params = {"max_new_tokens": 6}
    plain = sparse.generate(document, params)["meta_info"]["vortex"]
    rows = 5 * sparse.info.layers * sparse.info.kv_heads
    assert plain["pages_read"] == rows * (8 + 2)
    few = sparse.generate(document, {**params, "vortex": {"topk_val": 3}})["meta_info"]["vortex"]
    assert few["pages_read"] == rows * (3 + 2) and few["pages_held"] == plain["pages_held"]
    half = sparse.generate(document, {**params, "vortex": {"topk_ratio": 0.5, "topk_val": 1}})["meta_info"]["vortex"]
    assert 0.45 < half["read_fraction"] <= 0.5
    whole = sparse.generate(document, {**params, "vortex": {"dense": True}})
    assert whole["meta_info"]["vortex"]["read_fraction"] == 1.0
    assert whole["output_ids"] == dense.generate(document, params)["output_ids"]


def test_a_model_without_a_tokenizer_takes_ids_only():
    with vortex.Engine(ROOT / "tests/data/tiny/llama", load_format="dummy", log_level="error") as engine:
        result = engine.generate(input_ids=[1, 2, 3], sampling_params={"max_new_tokens": 4, "ignore_eos": True})
        assert (result["text"], len(result["output_ids"])) == ("", 4)
        for call in (lambda: engine.generate("a"), lambda: engine.decode([1]), lambda: engine.chat([{"content": "a"}])):
            with pytest.raises(UnsupportedError, match="input_ids"):
                call()
        with pytest.raises(UnsupportedError, match="no tokenizer"):
            engine.generate(input_ids=[1], sampling_params={"regex": "a"})


def test_pages_of_a_prompt_are_kept(dense):
    prompt = "A prompt of its own kind, " * 20
    first, second = (dense.generate(prompt, {"max_new_tokens": 2})["meta_info"] for _ in range(2))
    assert first["cached_tokens"] == 0
    assert second["cached_tokens"] == (second["prompt_tokens"] - 1) // 16 * 16


def test_results_can_be_written_as_json_and_say_their_times(dense):
    result = dense.generate("One day", {"max_new_tokens": 3}, return_logprob=True)
    assert json.loads(json.dumps(result))["output_ids"] == result["output_ids"]
    meta = result["meta_info"]
    assert meta["e2e_latency"] == meta["timings"]["ttft_s"] + meta["timings"]["decode_s"]
    assert 0 < meta["timings"]["prefill_s"] <= meta["timings"]["ttft_s"] < meta["e2e_latency"]


def test_it_says_what_it_is(dense, sparse):
    assert (dense.info.layers, dense.info.kv_heads, dense.info.attention, dense.info.flow) == (6, 2, "gqa", None)
    assert dense.info.max_model_len == 8192 and dense.info.vortex is None
    assert sparse.info.flow == FLOW and sparse.info.vortex.topk_val == 8
    assert repr(sparse) == f"Engine({sparse.info.model_path!r}, {FLOW})"


def test_it_counts_what_it_does(sparse):
    before = settled(sparse)
    sparse.generate("One day", {"max_new_tokens": 5, "ignore_eos": True})
    after = settled(sparse)
    assert after["generation_tokens"] == before["generation_tokens"] + 5
    assert (after["running"], after["waiting"], after["pages_used"]) == (0, 0, 0)


def settled(engine):
    """Figures are those of the last step that has ended, which is soon after the last token."""
    deadline = time.monotonic() + 5
    figures = engine.stats()
    while (figures["running"] or figures["step_s"] != engine.stats()["step_s"]) and time.monotonic() < deadline:
        time.sleep(0.02)
        figures = engine.stats()
    return figures
