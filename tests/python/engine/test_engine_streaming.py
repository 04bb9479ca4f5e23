"""Answers as they grow: iterators, event loops, and leaving early."""

import asyncio
import itertools
import time

import pytest

PROMPTS = ["One day", "The quick brown fox", "Once upon a time there was", "12 + 7"]
PARAMS = {"max_new_tokens": 12, "ignore_eos": True}


def collect(chunks):
    """The last chunk, after a look at all of them."""
    last = {"text": "", "output_ids": []}
    for chunk in chunks:
        assert chunk["text"].startswith(last["text"])
        assert chunk["output_ids"][: len(last["output_ids"])] == last["output_ids"]
        assert chunk["meta_info"]["completion_tokens"] == len(chunk["output_ids"])
        last = chunk
    return last


def without_times(result):
    meta = result["meta_info"]
    return result["text"], result["output_ids"], meta["finish_reason"], meta["vortex"]


def test_a_stream_ends_with_the_whole_answer(sparse, document):
    params = {"max_new_tokens": 60, "ignore_eos": True}
    whole = sparse.generate(document, params)
    chunks = list(sparse.generate(document, params, stream=True))
    assert without_times(collect(chunks)) == without_times(whole)
    assert [chunk["meta_info"]["finish_reason"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert len(chunks) > 3  # as it was made, not at its end


def test_a_conversation_streams_too(dense):
    messages = [{"role": "user", "content": "Hello"}]
    assert collect(dense.chat(messages, PARAMS, stream=True))["text"] == dense.chat(messages, PARAMS)["text"]


def test_answers_of_a_stream_are_told_apart(dense):
    alone = dense.generate(PROMPTS, {**PARAMS, "n": 2, "seed": 3, "temperature": 1})
    by_index = {}
    for chunk in dense.generate(PROMPTS, {**PARAMS, "n": 2, "seed": 3, "temperature": 1}, stream=True):
        by_index.setdefault(chunk["index"], []).append(chunk)
    assert sorted(by_index) == list(range(8))
    assert [collect(by_index[i])["output_ids"] for i in range(8)] == [one["output_ids"] for one in alone]


def test_probabilities_stream_with_their_tokens(dense):
    whole = dense.generate("One day", PARAMS, return_logprob=True, top_logprobs_num=2)
    for chunk in dense.generate("One day", PARAMS, stream=True, return_logprob=True, top_logprobs_num=2):
        told = chunk["meta_info"]["output_token_logprobs"]
        assert [token for _, token, _ in told] == chunk["output_ids"]
        assert told == whole["meta_info"]["output_token_logprobs"][: len(told)]


def idle(engine, within=2.0):
    deadline = time.monotonic() + within
    while engine.stats()["running"] + engine.stats()["waiting"]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_leaving_a_stream_ends_the_answer(dense):
    for chunk in dense.generate("One day", {"max_new_tokens": 8000, "ignore_eos": True}, stream=True):
        assert dense.stats()["running"] == 1 or len(chunk["output_ids"]) < 3
        if len(chunk["output_ids"]) >= 5:
            break
    assert idle(dense)


def test_a_stream_that_nobody_reads_is_ended(dense):
    stream = dense.generate("One day", {"max_new_tokens": 8000, "ignore_eos": True}, stream=True)
    del stream
    assert idle(dense)


def test_four_streams_in_one_loop(dense):
    params = {"max_new_tokens": 100, "ignore_eos": True}
    expected = [one["output_ids"] for one in dense.generate(PROMPTS, params)]
    order = []

    async def read(i):
        last = None
        async for chunk in dense.async_generate(PROMPTS[i], params, stream=True):
            order.append(i)
            last = chunk
        return last["output_ids"]

    async def main():
        return await asyncio.gather(*(read(i) for i in range(4)))

    assert asyncio.run(main()) == expected
    assert any(a > b for a, b in itertools.pairwise(order))  # beside one another


def test_awaiting_gives_what_generate_gives(dense):
    async def main():
        one, many = await asyncio.gather(
            dense.async_generate(PROMPTS[0], PARAMS), dense.async_generate(PROMPTS, [PARAMS] * 4)
        )
        streamed = [chunk async for chunk in await dense.async_generate(PROMPTS[0], PARAMS, stream=True)]
        return one, many, streamed[-1]

    one, many, streamed = asyncio.run(main())
    assert [each["output_ids"] for each in many] == [each["output_ids"] for each in dense.generate(PROMPTS, PARAMS)]
    assert one["output_ids"] == streamed["output_ids"] == many[0]["output_ids"]


def test_the_loop_runs_while_an_answer_is_made(dense):
    async def main():
        answer = asyncio.ensure_future(dense.async_generate("One day", {"max_new_tokens": 300, "ignore_eos": True}))
        ticks = 0
        while not answer.done():
            await asyncio.sleep(0.001)
            ticks += 1
        return ticks

    assert asyncio.run(main()) > 20


@pytest.mark.parametrize("stream", [False, True])
def test_cancelling_a_task_ends_its_request(dense, stream):
    long = {"max_new_tokens": 8000, "ignore_eos": True}

    async def read():
        if not stream:
            return await dense.async_generate("One day", long)
        return [chunk async for chunk in dense.async_generate("One day", long, stream=True)]

    async def main():
        task = asyncio.ensure_future(read())
        await asyncio.sleep(0.1)
        assert dense.stats()["running"] == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert idle(dense)
