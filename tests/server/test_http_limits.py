"""Requests that are too large, too many, too odd or too slow (reliability cases 1 to 6 and 8)."""

import itertools
import time

import pytest
from serving import SLACK, eventually
from wire import Wire, assert_error, chunk, get, post

MB = 1 << 20
CHUNKED = "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


# A route of either server that takes a body.
BODY_PATH = "/v1/completions"


def post_head(*headers):
    lines = [f"POST {BODY_PATH} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def assert_grows_less(server, before, limit):
    assert eventually(lambda: server.memory() - before < limit * SLACK, limit=5), (before, server.memory())


def test_case_01_one_header_of_a_megabyte(attacked):
    with attacked():
        before = attacked.server.memory()
        for _ in range(10):
            with Wire(attacked.server.address) as wire:
                wire.send_what_goes(get("/health", "X-Long: " + "x" * MB))
                assert_error(wire.answer(), 431, "headers_too_large")
                assert wire.closed()
        assert_grows_less(attacked.server, before, MB)


def test_case_01_three_hundred_headers(attacked):
    with attacked():
        answer = attacked.server.ask(get("/health", *(f"X-{i}: {i}" for i in range(300))))
        assert_error(answer, 431, "headers_too_large")
    assert attacked.server.ask(get("/health", *(f"X-{i}: {i}" for i in range(250)))).status == 200


def test_case_02_ten_gigabytes_are_announced(attacked):
    with attacked():
        with Wire(attacked.server.address) as wire:
            assert_error(wire.ask(post_head("Content-Length: 10000000000")), 413, "request_too_large")
            assert wire.closed()


def test_case_02_a_body_that_never_comes_takes_no_memory(attacked):
    with attacked():
        before = attacked.server.memory()
        wires = [Wire(attacked.server.address).send(post_head("Content-Length: 30000000")) for _ in range(100)]
        time.sleep(0.3)
        assert_grows_less(attacked.server, before, 4 * MB)
        for wire in wires:
            wire.socket.close()


def test_case_03_three_megabytes_in_chunks_of_one_byte(attacked):
    with attacked():
        before = attacked.server.memory()
        with Wire(attacked.server.address) as wire:
            wire.send(CHUNKED.format(BODY_PATH).encode())
            wire.send_what_goes(chunk(b" ") * (3 * MB))
            assert_error(wire.answer(), 413, "request_too_large")
        assert_grows_less(attacked.server, before, 4 * MB)


def test_case_03_chunks_without_end(attacked):
    with attacked():
        with Wire(attacked.server.address) as wire:
            wire.send(CHUNKED.format(BODY_PATH).encode())
            while wire.send_what_goes(chunk(b" " * 65536) * 16):
                pass
            assert_error(wire.answer(), 413, "request_too_large")


def test_case_03_a_body_that_drips_is_given_up(mocks):
    server = mocks("--body-ms", 500)
    with Wire(server.address) as wire:
        wire.send(CHUNKED.format("/echo").encode())
        began = time.monotonic()
        for _ in itertools.count():
            if not wire.send_what_goes(chunk(b"x")) or time.monotonic() - began > 3:
                break
            time.sleep(0.05)
        assert_error(wire.answer(), 408, "request_timeout")


@pytest.mark.parametrize(
    "line",
    [b"-2", b"FFFFFFFFFFFFFFFF", b"10000000000000000", b"0x10", b"10;ext=" + b"e" * 65536, b"", b" 1", b"g", b"1 1"],
    ids=lambda line: line[:20].decode() or "empty",
)
def test_case_04_chunk_sizes_that_are_none(attacked, line):
    with Wire(attacked.server.address) as wire:
        wire.send(CHUNKED.format(BODY_PATH).encode())
        wire.send_what_goes(line + b"\r\n0123456789abcdef\r\n0\r\n\r\n")
        assert_error(wire.answer(), 400, "malformed_request")
        assert wire.closed()


SMUGGLED = get("/smuggled")
AMBIGUOUS = {
    "length_and_chunks": post_head("Content-Length: 6", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + SMUGGLED,
    "chunks_and_length": post_head("Transfer-Encoding: chunked", "Content-Length: 6") + b"0\r\n\r\n" + SMUGGLED,
    "two_lengths": post_head("Content-Length: 2", "Content-Length: 60") + b"{}" + SMUGGLED,
    "the_same_length_twice": post_head("Content-Length: 2", "Content-Length: 2") + b"{}" + SMUGGLED,
    "a_list_of_lengths": post_head("Content-Length: 2, 2") + b"{}" + SMUGGLED,
    "chunked_twice": post_head("Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n" + SMUGGLED,
    "chunked_disguised": post_head("Transfer-Encoding: \x0bchunked") + b"0\r\n\r\n" + SMUGGLED,
    "blank_before_the_colon": post_head("Content-Length : 60") + b"{}" + SMUGGLED,
    "bare_line_feeds": b"GET /health HTTP/1.1\nHost: localhost\n\n" + SMUGGLED,
    "one_bare_line_feed": get("/health", "X: a\nY: b") + SMUGGLED,
    "line_feed_at_the_end": b"GET /health HTTP/1.1\r\nHost: localhost\r\n\n" + SMUGGLED,
    "folded_line": get("/health", "X: a", " b") + SMUGGLED,
    "folded_length": post_head("Content-Length:", " 2") + b"{}" + SMUGGLED,
    "chunk_ends_in_line_feed": post_head("Transfer-Encoding: chunked") + b"2\n{}\n0\n\n" + SMUGGLED,
    "chunks_before_their_time": b"POST /health HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "two_hosts": get("/health", "Host: other") + SMUGGLED,
    "no_host": b"GET /health HTTP/1.1\r\n\r\n" + SMUGGLED,
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_case_05_no_request_hides_in_another(attacked, name):
    with Wire(attacked.server.address) as wire:
        wire.send(AMBIGUOUS[name])
        assert_error(wire.answer(), 400, "malformed_request")
        assert wire.closed()


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "identity, gzip", "x"])
def test_case_06_no_content_coding_is_undone(attacked, coding):
    with attacked():
        before = attacked.server.memory()
        with Wire(attacked.server.address) as wire:
            wire.send(post_head("Content-Length: 10000", f"Content-Encoding: {coding}") + b"\x1f\x8b" + b"\0" * 9998)
            assert_error(wire.answer(), 415, "unsupported_media_type")
        assert_grows_less(attacked.server, before, MB)


def test_case_08_a_slow_reader_is_cut_when_its_share_is_full(mock_unharmed):
    server = mock_unharmed.server
    with mock_unharmed():
        before = server.ask(get("/stats")).json()
        with Wire(server.address, receive_buffer=4096) as wire:
            wire.send(get("/ticks?n=100000&ms=0&size=10000"))
            assert eventually(lambda: server.ask(get("/stats")).json()["cut"] > before["cut"])
            assert not wire.answer().whole
        assert server.ask(get("/stats")).json()["gone"] == before["gone"] + 1


def test_case_08_a_reader_of_a_byte_a_second_is_cut_in_time(mocks):
    server = mocks("--stall-ms", 700)
    with Wire(server.address, receive_buffer=4096) as wire:
        wire.send(get("/ticks?n=60&ms=1&size=10000"))
        began = time.monotonic()
        while server.ask(get("/stats")).json()["cut"] == 0 and time.monotonic() - began < 15:
            wire.socket.recv(1)
            time.sleep(0.3)
        assert server.ask(get("/stats")).json()["cut"] == 1


def test_case_02_the_limit_is_a_setting(vortexes):
    server = vortexes("--max-request-bytes", 2000)
    assert_error(server.ask(post_head("Content-Length: 2001")), 413, "request_too_large")
    body = {"model": "recall-gqa", "prompt": "x" * 1800, "max_tokens": 1}
    assert server.ask(post(BODY_PATH, body)).status == 200


@pytest.mark.slow
def test_case_08_a_slow_reader_of_a_long_answer(server, unharmed):
    """The engine's work for it ends when its share of the memory is full; nobody else waits."""
    body = {"model": "recall-gqa", "prompt": "Once", "max_tokens": 30_000, "ignore_eos": True, "stream": True}
    with unharmed(), Wire(server.address, receive_buffer=4096) as wire:
        wire.send(post(BODY_PATH, body))
        assert wire.head()[0] == 200
        running = b'vllm:num_requests_running{model_name="recall-gqa",engine="0"} 0'
        assert eventually(lambda: running in server.ask(get("/metrics")).body, limit=100, every=0.2)
        assert list(wire.chunks())[-1] is not None
