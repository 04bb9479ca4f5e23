"""Thousands of streams from one thread, for figures and for the tests that hold them.

By hand:  tests/server/load_client.py BUILD_DIR [STREAMS]
prints what the HTTP layer in front of a mocked engine (http_test_server) does with that many open streams.
"""

import json
import resource
import selectors
import socket
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit


class Streams:
    """`count` event streams that stay open. Each hears an event a second."""

    def __init__(self, address, request):
        url = urlsplit(address)
        self.peer = (url.hostname, url.port)
        self.request = request
        self.selector = selectors.DefaultSelector()
        self.began = {}
        self.first_byte_s = []
        self.received = 0

    def open(self, count, per_second):
        """Opens them at that pace, reading all the while."""
        start = time.monotonic()
        for i in range(count):
            while (wait := start + i / per_second - time.monotonic()) > 0:
                self.read(wait)
            self.read(0)
            one = socket.create_connection(self.peer)
            one.setblocking(False)
            self.began[one] = time.monotonic()
            one.send(self.request)
            self.selector.register(one, selectors.EVENT_READ)
        while self.began:
            self.read(1)

    def read(self, wait):
        for key, _ in self.selector.select(wait):
            one = key.fileobj
            data = one.recv(65536)
            assert data, "the server closed a stream"
            self.received += len(data)
            if one in self.began and b"data: " in data:
                self.first_byte_s.append(time.monotonic() - self.began.pop(one))

    def hold(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)

    def close(self):
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()


def hold_streams(server, count, per_second, seconds):
    """Figures of `count` streams of `server`, held for that time."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    before = server.memory(), server.cpu_seconds()
    streams = Streams(server.address, b"GET /ticks?n=100000&ms=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    streams.open(count, per_second)
    opened = server.cpu_seconds()
    streams.hold(seconds)
    first = sorted(streams.first_byte_s)
    figures = {
        "streams": count,
        "bytes_a_stream": (server.memory() - before[0]) // count,
        "first_byte_ms": {"p50": 1e3 * first[count // 2], "p99": 1e3 * first[count * 99 // 100], "max": 1e3 * first[-1]},
        "cpu_while_held": (server.cpu_seconds() - opened) / seconds,
        "threads": server.threads(),
    }
    streams.close()
    return figures


def main():
    import os

    os.environ["VORTEX_BUILD_DIR"] = sys.argv[1]
    sys.path.insert(0, str(Path(__file__).parents[1] / "python"))
    from serving import start_mock

    server = start_mock()
    try:
        count = int(sys.argv[2]) if len(sys.argv) > 2 else 5000
        print(json.dumps(hold_streams(server, count, per_second=1000, seconds=5), indent=1))
    finally:
        server.process.kill()


if __name__ == "__main__":
    main()
