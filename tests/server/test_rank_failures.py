"""A rank of a server dies or stops (faults 3 and 4): everybody hears of it, and nothing is left behind."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from api import TEXT, at_once
from serving import SLACK, eventually
from test_engine_faults import tokens
from wire import Wire, get, post

LIMIT_S = 5 * SLACK
RANKS = ("--tensor-parallel-size", 2, "--device", "cpu")

STREAMS = {
    "idle": [],
    "prefill": [{"prompt": tokens(1, 24_000), "max_tokens": 4}, {"prompt": tokens(2, 20_000), "max_tokens": 4}],
    "decode": [{"prompt": tokens(seed, 40), "max_tokens": 20_000} for seed in range(3)],
}


def ranks_of(server):
    """The processes that the server has started."""
    found = []
    for task in Path(f"/proc/{server.pid}/task").iterdir():
        found += [int(pid) for pid in (task / "children").read_text().split()]
    return found


def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def begin(server, body):
    """A stream that has been accepted."""
    wire = Wire(server.address, timeout=60)
    wire.send(post(TEXT, body | {"stream": True, "ignore_eos": True, "temperature": 0}))
    return wire


def wait_for(phase, wires):
    if phase == "decode":
        for wire in wires:
            wire.read_until(b'"text"')
    if phase == "prefill":
        time.sleep(0.4)


def last_event(wire):
    """What a stream says before it ends, or the answer where it had not begun."""
    text = wire.rest().decode()
    events = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    return json.loads(events[-1] if events else text.partition("\r\n\r\n")[2])


def turns_unhealthy(server):
    try:
        return server.ask(get("/health")).status == 503
    except OSError:  # it has ended already
        return False


@pytest.mark.parametrize("phase", STREAMS)
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
@pytest.mark.parametrize("attempt", [0, *(pytest.param(i, marks=pytest.mark.slow) for i in range(1, 10))])
def test_fault_03_04_a_rank_that_fails_ends_the_server(vortexes, kind, phase, attempt):
    shared = set(os.listdir("/dev/shm"))
    server = vortexes(*RANKS)
    ranks = ranks_of(server)
    assert len(ranks) == 1
    wires = [begin(server, body) for body in STREAMS[phase]]
    wait_for(phase, wires)
    began = time.monotonic()
    os.kill(ranks[0], kind)
    unhealthy = eventually(lambda: turns_unhealthy(server), LIMIT_S, 0.05)
    for event in at_once(last_event, wires) if wires else []:
        assert event["error"]["code"] == "engine_dead", event
        assert "rank 1" in event["error"]["message"]
    assert server.process.wait(LIMIT_S) not in (0, None)
    took = time.monotonic() - began
    assert unhealthy and took < LIMIT_S, took
    assert eventually(lambda: not runs(ranks[0]), 1)
    assert set(os.listdir("/dev/shm")) <= shared


def test_ranks_end_with_a_server_that_is_asked_to(vortexes):
    server = vortexes(*RANKS)
    ranks = ranks_of(server)
    assert server.stop() == 0
    assert eventually(lambda: not any(map(runs, ranks)), 5)


def test_ranks_end_with_a_server_that_is_killed(vortexes):
    server = vortexes(*RANKS)
    ranks = ranks_of(server)
    server.process.kill()
    server.process.wait()
    assert eventually(lambda: not any(map(runs, ranks)), 5)
