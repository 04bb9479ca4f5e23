"""Clients that leave while the engine works for them, or before it does (faults 1 and 2)."""

import re
import time

import pytest
from serving import SLACK, eventually, start_vortex
from wire import Wire, get, post

BODY = {"model": "recall-gqa", "prompt": "Once upon a time", "temperature": 0, "ignore_eos": True}


def completion(tokens, **changes):
    return post("/v1/completions", BODY | {"max_tokens": tokens} | changes)


def metric(server, name, **labels):
    """Sum of the samples of that name with these labels."""
    total = 0.0
    for line in server.ask(get("/metrics", "Connection: close")).body.decode().splitlines():
        found = re.fullmatch(rf"{re.escape(name)}(?:\{{(.*)\}})? (\S+)", line)
        if found and all(f'{key}="{value}"' in (found[1] or "") for key, value in labels.items()):
            total += float(found[2])
    return total


def running(server):
    return metric(server, "vllm:num_requests_running")


def aborted(server):
    return metric(server, "vllm:request_success_total", finished_reason="abort")


def read_events(wire, count):
    for _ in range(count):
        wire.read_until(b"data: ")


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("events", [0, 1, 100], ids=["before_a_token", "at_the_first", "in_the_middle"])
def test_fault_01_generation_stops_with_its_client(server, unharmed, how, events):
    with unharmed():
        count = aborted(server)
        wire = Wire(server.address).send(completion(30_000, stream=True))
        if events:
            read_events(wire, events)
        else:
            assert eventually(lambda: running(server) >= 1)
        generated = metric(server, "vllm:generation_tokens_total")
        wire.reset() if how == "rst" else wire.socket.close()
        assert eventually(lambda: aborted(server) == count + 1)
        # A step is one token; looking takes some, and the other streams have theirs.
        assert metric(server, "vllm:generation_tokens_total") - generated < 500 * SLACK


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_fault_01_also_where_nothing_is_streamed(server, unharmed, how):
    with unharmed():
        count = aborted(server)
        wire = Wire(server.address).send(completion(30_000))
        assert eventually(lambda: running(server) >= 1)
        time.sleep(0.05)
        wire.reset() if how == "rst" else wire.socket.close()
        assert eventually(lambda: aborted(server) == count + 1)


def test_fault_01_at_the_last_token(server, unharmed):
    """Whether it finished or was aborted is a matter of microseconds; either way it ends once."""
    with unharmed():
        for tokens in range(1, 12):
            wire = Wire(server.address).send(completion(tokens, stream=True))
            read_events(wire, tokens)
            wire.reset()
    assert eventually(lambda: running(server) == 0)
    assert metric(server, "vllm:num_requests_waiting") == 0


@pytest.fixture(scope="module")
def one_at_a_time():
    served = start_vortex("--max-num-seqs", 1)
    yield served
    served.stop()


def test_fault_02_who_leaves_the_queue_is_never_scheduled(one_at_a_time):
    server = one_at_a_time
    with Wire(server.address) as first:
        first.send(completion(1500, stream=True))
        read_events(first, 2)
        prompts, count = metric(server, "vllm:prompt_tokens_total"), aborted(server)
        queued = [Wire(server.address).send(completion(5, prompt="left " * 50, stream=i % 2 == 0)) for i in range(6)]
        assert eventually(lambda: metric(server, "vllm:num_requests_waiting") == 6)
        stays = Wire(server.address).send(completion(3))
        assert eventually(lambda: metric(server, "vllm:num_requests_waiting") == 7)
        for i, wire in enumerate(queued):
            wire.reset() if i % 3 else wire.socket.close()
        assert eventually(lambda: metric(server, "vllm:num_requests_waiting") == 1)
        assert eventually(lambda: aborted(server) == count + 6)
        assert first.read_until(b"data: [DONE]").endswith(b"data: [DONE]")
        answer = stays.answer()
        assert answer.json()["usage"]["completion_tokens"] == 3
        stays.socket.close()
        # Of all that waited only the one that stayed was computed.
        assert metric(server, "vllm:prompt_tokens_total") - prompts == answer.json()["usage"]["prompt_tokens"]


def test_fault_02_leaving_while_a_grammar_compiles(server, unharmed):
    slow = {"type": "json_schema", "json_schema": {"name": "s", "schema": large_schema(200)}}
    with unharmed():
        began = time.monotonic()
        for i in range(10):
            wire = Wire(server.address).send(
                post("/v1/chat/completions", {"model": "recall-gqa", "messages": [{"role": "user", "content": "hi"}],
                                              "max_tokens": 2000, "response_format": slow})
            )  # fmt: skip
            time.sleep(0.002 * i)
            wire.reset()
        assert eventually(lambda: running(server) <= 3)
        assert time.monotonic() - began < 10 * SLACK
    assert eventually(lambda: running(server) == 0)


def large_schema(fields):
    """Takes a while to compile: many different fields, each with its own pattern."""
    properties = {f"field_{i}": {"type": "string", "pattern": f"^[a-z]{{{i % 9 + 1}}}-[0-9]{{2,{i % 5 + 3}}}$"} for i in range(fields)}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
