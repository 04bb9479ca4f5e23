"""What text completions say: each answer against another way to the same numbers."""

import math

import pytest
from api import TEXT, ask, complete, ok, stream

PROMPT = "The secret word for winter is"


def test_streaming_says_what_the_whole_answer_says(server):
    for fields in ({}, {"logprobs": 2}, {"temperature": 1, "seed": 7, "ignore_eos": True}, {"n": 2, "seed": 1}):
        body = {"prompt": PROMPT, "max_tokens": 12, "return_token_ids": True} | fields
        whole = ok(ask(server, TEXT, body))
        events = stream(server, TEXT, body | {"stream_options": {"include_usage": True}})
        assert events[-1]["choices"] == [] and events[-1]["usage"]["total_tokens"] == whole["usage"]["total_tokens"]
        for choice in whole["choices"]:
            own = [c for event in events for c in event["choices"] if c["index"] == choice["index"]]
            assert "".join(c["text"] for c in own) == choice["text"]
            assert [t for c in own for t in c.get("token_ids", [])] == choice["token_ids"]
            assert [c["finish_reason"] for c in own][:-1] == [None] * (len(own) - 1)
            assert own[-1]["finish_reason"] == choice["finish_reason"]
            if "logprobs" in fields:
                for key, values in choice["logprobs"].items():
                    assert [v for c in own if c["logprobs"] for v in c["logprobs"][key]] == values
        assert len({event["id"] for event in events}) == 1


def test_echoed_logprobs_equal_those_of_generation(server):
    made = complete(server, PROMPT, max_tokens=6, logprobs=3, return_token_ids=True, ignore_eos=True)["choices"][0]
    prompt = made["prompt_token_ids"]
    forced = complete(server, prompt + made["token_ids"], max_tokens=0, echo=True, logprobs=3)
    lists = forced["choices"][0]["logprobs"]
    assert lists["token_logprobs"][0] is None and lists["top_logprobs"][0] is None
    tail = slice(len(prompt), None)
    assert lists["tokens"][tail] == made["logprobs"]["tokens"]
    # The same numbers by prefill and by decode: bfloat16 pages, other orders of sums.
    assert lists["token_logprobs"][tail] == pytest.approx(made["logprobs"]["token_logprobs"], abs=0.05)
    assert forced["usage"]["completion_tokens"] == 0
    assert forced["choices"][0]["finish_reason"] == "length"


def test_what_a_loglikelihood_harness_reads(server):
    contexts = [[5, 6, 7, 8], [9, 10, 11]]
    answer = complete(server, contexts, max_tokens=1, echo=True, logprobs=1, temperature=0, seed=1234)
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    for context, choice in zip(contexts, answer["choices"]):
        lists = choice["logprobs"]
        assert {len(values) for values in lists.values()} == {len(context) + 1}
        for value, top in zip(lists["token_logprobs"][1:], lists["top_logprobs"][1:]):
            assert value <= max(top.values()) <= 0 and value in top.values()
        # The last token is the greedy one: the likeliest of its place.
        assert lists["token_logprobs"][-1] == max(lists["top_logprobs"][-1].values())


def test_text_offsets_point_into_the_text(server):
    choice = complete(server, "A b \u00e9\u20ac c", max_tokens=4, echo=True, logprobs=0)["choices"][0]
    lists = choice["logprobs"]
    for token, offset in zip(lists["tokens"], lists["text_offset"]):
        if "\ufffd" not in token:
            assert choice["text"][offset:].startswith(token)
        else:
            break


def test_probabilities_of_the_likeliest_sum_to_at_most_one(server):
    choice = complete(server, PROMPT, max_tokens=3, logprobs=20)["choices"][0]
    for top in choice["logprobs"]["top_logprobs"]:
        assert 0.1 < sum(math.exp(value) for value in top.values()) <= 1.0001


def test_prompt_logprobs_have_ranks(server):
    choice = complete(server, [5, 6, 7], max_tokens=1, prompt_logprobs=2)["choices"][0]
    assert choice["prompt_logprobs"][0] is None
    for token, place in zip((6, 7), choice["prompt_logprobs"][1:]):
        assert 2 <= len(place) <= 3
        assert place[str(token)]["logprob"] <= max(entry["logprob"] for entry in place.values())
        assert sorted(entry["rank"] for entry in place.values())[:2] == [1, 2]


def test_seeds(server):
    def texts(**fields):
        body = {"temperature": 1.5, "max_tokens": 16, "ignore_eos": True} | fields
        return [choice["text"] for choice in complete(server, PROMPT, **body)["choices"]]

    assert texts(seed=3) == texts(seed=3)
    assert texts(seed=3) != texts(seed=4)
    assert len(set(texts(seed=3, n=4))) > 1
    assert texts(seed=-1) == texts(seed=-1)


def test_n_answers_to_several_prompts(server):
    answer = complete(server, [PROMPT, "Hello"], n=3, temperature=1, seed=1, max_tokens=5, ignore_eos=True)
    assert [choice["index"] for choice in answer["choices"]] == list(range(6))
    usage = answer["usage"]
    alone = [complete(server, prompt, max_tokens=1)["usage"]["prompt_tokens"] for prompt in (PROMPT, "Hello")]
    assert usage["prompt_tokens"] == sum(alone) and usage["completion_tokens"] == 30
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_best_of_returns_the_likeliest(server):
    body = {"temperature": 1.5, "seed": 5, "max_tokens": 6, "ignore_eos": True, "logprobs": 0}
    every = complete(server, PROMPT, n=4, **body)["choices"]
    best = complete(server, PROMPT, n=2, best_of=4, **body)["choices"]

    def mean(choice):
        values = choice["logprobs"]["token_logprobs"]
        return sum(values) / len(values)

    expected = sorted(every, key=mean, reverse=True)[:2]
    assert [choice["text"] for choice in best] == [choice["text"] for choice in expected]
    assert [choice["index"] for choice in best] == [0, 1]
    hidden = complete(server, PROMPT, n=1, best_of=4, **(body | {"logprobs": None}))["choices"]
    assert hidden[0]["text"] == expected[0]["text"] and hidden[0]["logprobs"] is None


def test_case_23_a_stop_over_token_borders_is_never_partly_shown(server):
    whole = complete(server, PROMPT, max_tokens=24, ignore_eos=True)["choices"][0]["text"]
    stop = whole[9:13]
    before = whole[: whole.index(stop)]
    body = {"prompt": PROMPT, "max_tokens": 24, "ignore_eos": True, "stop": stop}
    choice = ok(ask(server, TEXT, body))["choices"][0]
    assert (choice["text"], choice["finish_reason"], choice["stop_reason"]) == (before, "stop", stop)
    text = ""
    for event in stream(server, TEXT, body):
        text += event["choices"][0]["text"]
        assert before.startswith(text)
    assert text == before
    kept = ok(ask(server, TEXT, body | {"include_stop_str_in_output": True}))["choices"][0]
    assert kept["text"] == before + stop


def test_stop_tokens_and_bias(server):
    ids = complete(server, PROMPT, max_tokens=4, ignore_eos=True, return_token_ids=True)["choices"][0]["token_ids"]
    stopped = complete(server, PROMPT, max_tokens=4, stop_token_ids=[ids[1]], return_token_ids=True)["choices"][0]
    assert stopped["finish_reason"] == "stop" and stopped["stop_reason"] == ids[1]
    forced = complete(server, PROMPT, max_tokens=3, logit_bias={"77": 100}, return_token_ids=True)["choices"][0]
    assert forced["token_ids"] == [77] * 3
    banned = complete(server, PROMPT, max_tokens=1, logit_bias={str(ids[0]): -100}, return_token_ids=True)
    assert banned["choices"][0]["token_ids"] != ids[:1]


def test_a_repeated_prompt_is_cached_and_says_so(server):
    prompt = list(range(100, 400))
    first = complete(server, prompt, max_tokens=2)
    again = complete(server, prompt, max_tokens=2)
    assert first["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    assert 256 <= again["usage"]["prompt_tokens_details"]["cached_tokens"] < 300
    assert again["choices"] == first["choices"]
    salted = complete(server, prompt, max_tokens=2, cache_salt="other")
    assert salted["usage"]["prompt_tokens_details"]["cached_tokens"] == 0


def test_case_59_characters_are_never_cut(server):
    """Random tokens of a byte-level vocabulary spell broken UTF-8: it is replaced, and never split over events."""
    body = {"prompt": PROMPT, "max_tokens": 200, "temperature": 100, "seed": 11, "ignore_eos": True}
    whole = ok(ask(server, TEXT, body))["choices"][0]
    events = stream(server, TEXT, body)  # each event is parsed as UTF-8 and JSON
    assert "".join(event["choices"][0]["text"] for event in events) == whole["text"]
    assert "\ufffd" in whole["text"] and whole["finish_reason"] == "length"


def test_continuous_usage_counts_up(server):
    body = {"prompt": PROMPT, "max_tokens": 5, "ignore_eos": True}
    events = stream(server, TEXT, body | {"stream_options": {"include_usage": True, "continuous_usage_stats": True}})
    counts = [event["usage"]["completion_tokens"] for event in events]
    assert counts == sorted(counts) and counts[-1] == 5


def test_every_token_is_an_event(server):
    events = stream(server, TEXT, {"prompt": PROMPT, "max_tokens": 8, "ignore_eos": True})
    tokens = [event for event in events if event["choices"][0]["text"]]
    assert 6 <= len(tokens) <= 8  # a token may be a part of a character
    assert len(events) - len(tokens) <= 1  # the end may come by itself
