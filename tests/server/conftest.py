"""Servers to attack, and the invariant that every attack leaves behind.

U: three other streams that run at the same time say what they say without the attack; the process is the same;
/health answers within 100 ms; pages, connections, file descriptors and threads are as before.
"""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from serving import SLACK, eventually, start_mock, start_vortex
from wire import get, post

HERE = Path(__file__).parent
# Or three times what it was before the attack, and more while others crowd the machine.
HEALTH_LIMIT_S = 0.1 * SLACK

MOCK_STREAMS = [get(f"/ticks?n=40&ms={ms}", "Connection: close") for ms in (5, 8, 11)]
PROMPTS = ["The quick brown fox", "Once upon a time there was", "1 2 3 4 5 6 7 8"]
VORTEX_STREAMS = [
    post(
        "/v1/completions",
        # The penalty makes small models say something: a repeated letter would hide a change.
        {"model": "recall-gqa", "prompt": prompt, "max_tokens": 24, "temperature": 0, "repetition_penalty": 1.5,
         "stream": True, "ignore_eos": True},
        "Connection: close",
    )
    for prompt in PROMPTS
]


def percentile(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


@contextlib.contextmanager
def witnesses(server, streams, headers=()):
    """What the three streams and the prober saw; filled in when the block ends."""
    seen = {}
    process = subprocess.Popen(
        [sys.executable, str(HERE / "witness.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    order = {
        "address": server.address,
        "streams": [stream.decode() for stream in streams],
        "health": get("/health", "Connection: close", *headers).decode(),
    }
    process.stdin.write(json.dumps(order) + "\n")
    process.stdin.flush()
    assert process.stdout.readline() == "started\n"
    try:
        yield seen
    finally:
        out, _ = process.communicate(timeout=120)
    seen.update(json.loads(out))


class Unharmed:
    """`with unharmed(server): attack` checks U."""

    def __init__(self, server, streams, pages_in_use):
        self.server = server
        self.streams = streams
        self.pages_in_use = pages_in_use
        self.baseline = None
        self.calm_s = 0

    def _measure_baseline(self):
        with witnesses(self.server, self.streams) as seen:
            pass
        assert not seen["faults"], seen["faults"]
        self.baseline = [texts[0] for texts in seen["streams"]]
        assert all(self.baseline)
        self.calm_s = percentile(seen["health_s"], 0.95)

    def resources(self):
        return {
            "files": self.server.files(),
            "threads": self.server.threads(),
            "pages": self.pages_in_use(self.server),
        }

    @contextlib.contextmanager
    def __call__(self):
        if self.baseline is None:
            self._measure_baseline()
        before = self.resources()
        pid = self.server.pid
        with witnesses(self.server, self.streams) as seen:
            yield
        assert self.server.alive and self.server.pid == pid, "\n".join(self.server.log[-20:])
        assert not seen["faults"], seen["faults"]
        for texts, expected in zip(seen["streams"], self.baseline):
            assert texts and all(text == expected for text in texts)
        self.assert_prompt(seen["health_s"])
        assert eventually(lambda: self.is_back(before)), (before, self.resources())

    def assert_prompt(self, health_s):
        """One answer in twenty may be late, and one of a short attack; none may take ten times the limit."""
        crowd = max(1, 2 * os.getloadavg()[0] / os.cpu_count())
        limit = max(HEALTH_LIMIT_S * crowd, 3 * self.calm_s)
        late = [seconds for seconds in health_s if seconds >= limit]
        assert len(late) <= max(1, len(health_s) // 20), sorted(health_s)[-10:]
        assert all(seconds < 10 * limit for seconds in late), late

    def is_back(self, before):
        now = self.resources()
        return all(now[name] <= before[name] for name in before)


@pytest.fixture(scope="session")
def mock_server():
    server = start_mock()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def server():
    """vortex serve of a small model, with no key."""
    served = start_vortex()
    yield served
    served.stop()


def pages_of_vortex(served):
    for line in served.ask(get("/metrics", "Connection: close")).body.decode().splitlines():
        if line.startswith("vllm:kv_cache_usage_perc"):
            return float(line.rsplit(" ", 1)[1])
    raise AssertionError("no gauge vllm:kv_cache_usage_perc")


@pytest.fixture(scope="session")
def mock_unharmed(mock_server):
    return Unharmed(mock_server, MOCK_STREAMS, lambda _: 0)


@pytest.fixture(scope="session")
def unharmed(server):
    return Unharmed(server, VORTEX_STREAMS, pages_of_vortex)


# Attacks on the HTTP layer are made twice: against the layer alone, and against the program.
@pytest.fixture(params=["mock", "vortex"])
def attacked(request):
    """An Unharmed; its `server` is the one to attack."""
    return request.getfixturevalue("mock_unharmed" if request.param == "mock" else "unharmed")


@pytest.fixture
def mocks():
    """start_mock whose servers end with the test."""
    started = []

    def start(*flags, **variables):
        started.append(start_mock(*flags, **variables))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def vortexes():
    """start_vortex, likewise."""
    started = []

    def start(*flags, **options):
        started.append(start_vortex(*flags, **options))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.stop()
