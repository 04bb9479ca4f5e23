"""Mixed traffic for a while: what a server holds afterwards is what it held before.

Of the requests 20 % are left by their client, 10 % are wrong, some are long, some ask for several answers. The engine
checks its own books whenever it is idle and stops when they do not agree, so a leak of pages ends the run.
"""

import asyncio
import os
import random
import time
from urllib.parse import urlsplit

import pytest
from client import Outcome, complete
from serving import eventually, start_vortex
from wire import get

SHORT_S = 15
LONG_S = float(os.environ.get("VORTEX_SOAK_S", 600))
BAD = [
    {"prompt": [1, 2], "max_tokens": -5},
    {"prompt": [], "max_tokens": 5},
    {"prompt": "x", "n": 0},
    {"prompt": "x", "temperature": "warm"},
    {"prompt": "x", "model": "nobody"},
    {"prompt": [5] * 40_000, "max_tokens": 1},
    {"prompt": "x", "structured_outputs": {"regex": "((("}},
]


def random_request(chooser):
    """A body, after how many pieces of text its client leaves, and whether it is wrong."""
    if chooser.random() < 0.10:
        return {"model": "recall-gqa", "max_tokens": 4} | chooser.choice(BAD), None, True
    body = {
        "model": "recall-gqa",
        "prompt": [chooser.randrange(100, 3000) for _ in range(chooser.choice((5, 40, 200)))],
        "max_tokens": chooser.randrange(1, 60),
        "temperature": chooser.choice((0, 1)),
        "n": chooser.choice((1, 1, 1, 3)),
        "ignore_eos": True,
    }
    if chooser.random() < 0.05:
        body["prompt"] = [chooser.randrange(100, 3000) for _ in range(3000)]
    if chooser.random() < 0.1:
        body["structured_outputs"] = {"regex": "[a-z ]{1,40}"}
    return body, chooser.randrange(0, 5) if chooser.random() < 0.2 else None, False


class Traffic:
    """Eight clients in a closed loop until time is up."""

    def __init__(self, port, seconds):
        self.port = port
        self.end = time.monotonic() + seconds
        self.whole, self.left, self.refused = 0, 0, 0
        self.wrong: list[Outcome] = []

    async def client(self, seed):
        chooser = random.Random(seed)
        while time.monotonic() < self.end:
            body, stop_after, bad = random_request(chooser)
            self.count(await complete(self.port, body, stop_after=stop_after), stop_after, bad)

    def count(self, outcome, stop_after, bad):
        if bad:
            self.refused += 1
            expected = 400 <= outcome.status < 500
        elif stop_after is not None:
            self.left += 1
            expected = outcome.status == 200 and "error" not in outcome.error
        else:
            self.whole += 1
            expected = outcome.ok
        if not expected:
            self.wrong.append(outcome)

    async def run(self):
        await asyncio.gather(*(self.client(seed) for seed in range(8)))


def gauge(server, name):
    for line in server.ask(get("/metrics", "Connection: close")).body.decode().splitlines():
        if line.startswith(name):
            return float(line.rsplit(" ", 1)[1])
    raise AssertionError(name)


def idle(server):
    return gauge(server, "vllm:num_requests_running") == 0 and gauge(server, "vllm:kv_cache_usage_perc") == 0


def soak(server, seconds):
    """Memory in bytes at the start and at the end of `seconds` of traffic, each time idle."""
    port = urlsplit(server.address).port
    before = {}
    for _ in range(2):  # the first round is warm-up
        traffic = Traffic(port, seconds / 4 if not before else seconds)
        asyncio.run(traffic.run())
        assert server.alive, "\n".join(server.log[-20:])
        assert not traffic.wrong, traffic.wrong[0]
        assert min(traffic.whole, traffic.left, traffic.refused) > 0
        assert eventually(lambda: idle(server), limit=30), server.ask(get("/metrics")).body.decode()
        now = {"files": server.files(), "threads": server.threads()}
        if not before:
            before, memory = now, server.memory()
    assert eventually(lambda: server.files() <= before["files"]), (before, server.files())
    assert server.threads() <= before["threads"]
    print(f"soak: {traffic.whole} whole, {traffic.left} left, {traffic.refused} refused")
    return memory, server.memory()


def check_growth(seconds):
    # A small pool is full of kept pages after the warm-up; what grows then is a leak.
    server = start_vortex("--kv-cache-memory-bytes", "24M", "--max-num-seqs", "6", "--flow", "gqa_quest_sparse_attention")
    try:
        start, end = soak(server, seconds)
        per_minute = (end - start) / 1e6 / (seconds / 60)
        print(f"soak: {start / 1e6:.1f} MB to {end / 1e6:.1f} MB, {per_minute:.2f} MB a minute")
        return end - start, per_minute
    finally:
        assert server.stop() == 0


def test_mixed_traffic_leaves_nothing_behind():
    grown, _ = check_growth(SHORT_S)
    assert grown < 20e6


@pytest.mark.slow
def test_ten_minutes_of_mixed_traffic():
    _, per_minute = check_growth(LONG_S)
    assert per_minute < 1
