"""Random clients: whatever they send, and whenever they leave, the server stays what it was."""

import random
import time

import pytest
from serving import eventually
from wire import Wire, chunk, get, post

CHUNKED = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
GOOD = [
    get("/health"),
    get("/health", method="HEAD"),
    get("/ticks?n=5&ms=1"),
    get("/ticks?n=100&ms=0&size=5000"),
    get("/slow?ms=3"),
    get("/cut"),
    get("/throws"),
    get("/dropped"),
    get("/nothing"),
    post("/echo", b"x" * 5000),
    post("/echo", b"", "Expect: 100-continue"),
    CHUNKED + chunk(b"abc") + chunk(b"d" * 300, b";e=f") + b"0\r\nT: t\r\n\r\n",
    b"GET /ticks?n=3&ms=1 HTTP/1.0\r\n\r\n",
]


def mangled(request, chance):
    """One to three small changes: a byte, a piece left out, a piece twice, a piece of another request."""
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(request) + 1)
        end = min(at + chance.randint(0, 12), len(request))
        other = chance.choice(GOOD)
        start = chance.randrange(len(other))
        piece = chance.choice([b"", request[at:end] * 2, bytes([chance.randrange(256)]), other[start : start + 12]])
        request = request[:at] + piece + request[end:]
    return request


def visit(server, chance):
    wire = Wire(server.address, timeout=5, receive_buffer=chance.choice([None, 2048]))
    try:
        for _ in range(chance.randint(1, 6)):
            request = chance.choice(GOOD)
            if chance.random() < 0.5:
                request = mangled(request, chance)
            cut = chance.choice([len(request), chance.randrange(len(request) + 1)])
            wire.socket.send(request[:cut])
            if chance.random() < 0.3:
                wire.socket.settimeout(0.01)
                wire.socket.recv(chance.choice([1, 100, 65536]))
            if chance.random() < 0.3:
                wire.socket.send(request[cut:])
        if chance.random() < 0.3:
            wire.finish_sending()
            wire.socket.recv(65536)
    except OSError:
        pass  # the server has had enough
    finally:
        wire.reset() if chance.random() < 0.5 else wire.socket.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_random_visitors(mocks, seed):
    server = mocks("--header-ms", 500, "--body-ms", 500, "--idle-ms", 500, "--stall-ms", 500, "--max-connections", 40)
    chance = random.Random(seed)
    files, threads = server.files(), server.threads()
    until = time.monotonic() + 3
    visits = 0
    while time.monotonic() < until:
        visit(server, chance)
        visits += 1
    assert visits > 50
    assert server.alive, "\n".join(server.log[-20:])

    def settled():
        now = server.ask(get("/stats", "Connection: close")).json()
        return now["open"] == 1 and now["active"] == 1

    assert eventually(settled)
    assert eventually(lambda: server.files() <= files and server.threads() <= threads)
    # Each request that was begun was answered or left, once.
    assert server.stop() == 0
