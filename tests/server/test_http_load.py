"""What one network thread carries, with a mocked engine: a reduced form of the load targets, with room to spare."""

import time

import pytest
from load_client import hold_streams
from serving import SLACK, eventually
from wire import Wire, get, post


def test_a_thousand_open_streams(mocks):
    server = mocks()
    files = server.files()
    figures = hold_streams(server, 1000, per_second=500, seconds=1)
    assert figures["bytes_a_stream"] < 20_000 * SLACK, figures
    assert figures["first_byte_ms"]["p99"] < 50 * 4 * SLACK, figures
    assert figures["cpu_while_held"] < 0.5 * SLACK, figures
    assert figures["threads"] <= 2, figures
    # Their memory comes back to the system's allocator, and their files to the system.
    assert eventually(lambda: server.ask(get("/stats")).json()["open"] == 1)
    assert eventually(lambda: server.files() <= files)


@pytest.mark.slow
def test_five_thousand_open_streams(mocks):
    figures = hold_streams(mocks(), 5000, per_second=1000, seconds=5)
    assert figures["bytes_a_stream"] < 20_000 * SLACK, figures
    assert figures["first_byte_ms"]["p99"] < 50 * SLACK, figures
    assert figures["threads"] <= 2, figures


def pipelined_per_second(server, request, count=5000):
    with Wire(server.address) as wire:
        began = time.monotonic()
        for _ in range(count // 100):
            wire.send(request * 100)
            for _ in range(100):
                assert wire.answer().status == 200
        return count / (time.monotonic() - began)


def test_small_requests_by_the_thousand(mock_server):
    """The client is Python and slow: the figures by hand are ten times these (docs/status.md)."""
    assert pipelined_per_second(mock_server, get("/health")) > 2000 / SLACK
    assert pipelined_per_second(mock_server, post("/v1/completions", {"prompt": "x" * 200})) > 1000 / SLACK


@pytest.mark.skipif(SLACK > 1, reason="sanitizers keep freed memory for a while")
def test_memory_is_flat_over_ten_thousand_requests(mock_server):
    requests = get("/health") + post("/echo", b"x" * 2000) + get("/nothing") + get("/ticks?n=1&ms=0")
    with Wire(mock_server.address) as wire:
        for i in range(2500):
            wire.send(requests)
            for _ in range(4):
                assert wire.answer().whole
            if i == 500:
                before = mock_server.memory()
    assert mock_server.memory() - before < 1 << 20
