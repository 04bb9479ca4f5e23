"""Connections that do not behave: slow, idle, too many, half open, gone (cases 7, 9, 12; faults 1 and 20)."""

import os
import resource
import shutil
import socket
import subprocess
import threading
import time

import pytest
from serving import SLACK, MOCK, Server, eventually
from wire import Wire, assert_error, chunk, get, post


def stats(server):
    return server.ask(get("/stats", "Connection: close")).json()


@pytest.fixture(autouse=True)
def many_files():
    """Thousands of sockets in this process too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_many(server, count):
    wires = []
    for _ in range(count):
        wires.append(Wire(server.address))
    return wires


def close_all(wires):
    for wire in wires:
        wire.socket.close()


def test_case_07_two_thousand_slow_headers(mocks):
    server = mocks("--header-ms", 2000)

    def latency(asks):
        began = time.monotonic()
        for _ in range(asks):
            assert server.ask(get("/health")).status == 200
        return (time.monotonic() - began) / asks

    calm = latency(50)
    wires = open_many(server, 2000)
    for wire in wires:
        wire.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
    began = time.monotonic()
    assert latency(50) < max(0.02 * SLACK, 5 * calm)
    for wire in wires[:200]:
        wire.send_what_goes(b"x")
    for wire in wires[::100]:
        assert_error(wire.answer(), 408, "request_timeout")
        assert wire.closed()
    # A drip does not buy time.
    assert time.monotonic() - began < 5 * SLACK
    assert eventually(lambda: stats(server)["open"] == 1)
    close_all(wires)


def test_case_07_slow_headers_harm_nobody(attacked):
    with attacked():
        wires = open_many(attacked.server, 500)
        for wire in wires:
            wire.send(b"G")
        time.sleep(0.5)
        close_all(wires)


def test_case_09_idle_connections_over_the_cap_make_room(mocks):
    server = mocks("--max-connections", 1000)
    wires = open_many(server, 3000)
    assert server.ask(get("/health")).status == 200
    assert stats(server)["open"] <= 1001
    # The oldest went first.
    assert wires[0].closed()
    assert wires[-1].ask(get("/health")).status == 200
    close_all(wires)


def test_case_09_ten_thousand_idle_connections(mocks):
    server = mocks()
    wires = open_many(server, min(10_000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200))
    for wire in wires[::100]:
        assert wire.ask(get("/health")).status == 200
    busy = server.cpu_seconds()
    time.sleep(2)
    assert server.cpu_seconds() - busy < 0.5 * SLACK
    began = time.monotonic()
    assert server.ask(get("/health")).status == 200
    assert time.monotonic() - began < 0.1 * SLACK
    close_all(wires)


# The run-time of the undefined-behaviour sanitizer opens files to look at memory, and takes "none left" for a fault.
without_sanitizer = pytest.mark.skipif(SLACK > 1, reason="sanitizers need files themselves")


@pytest.fixture
def starved():
    """A server that may open 300 files and does not know a lower cap of connections."""
    command = ["prlimit", "--nofile=300:300", MOCK, "--max-connections", "100000"]
    if shutil.which("prlimit") is None:
        pytest.skip("there is no prlimit")

    def read_address(line):
        return line.split('"')[3] if line.startswith('{"address"') else None

    server = Server(command, read_address).wait_until_ready()
    yield server
    server.stop()


@without_sanitizer
def test_case_09_busy_connections_up_to_the_file_limit(starved):
    streams = []
    for _ in range(320):
        streams.append(Wire(starved.address))
        streams[-1].send(get("/never"))
    assert eventually(lambda: starved.ask(get("/health")).status == 200)
    # Nobody is left waiting in a queue that nobody looks at, and nothing spins.
    busy = starved.cpu_seconds()
    time.sleep(1.5)
    assert starved.cpu_seconds() - busy < 0.3 * SLACK
    answer = starved.ask(get("/stats"))
    assert_error(answer, 503, "overloaded", "unavailable_error")
    close_all(streams)
    assert eventually(lambda: starved.ask(get("/stats")).status == 200)
    assert starved.ask(get("/stats")).json()["gone"] > 200


@without_sanitizer
def test_case_09_no_file_left_at_all(mocks):
    server = mocks()
    time.sleep(0.1)  # who asked whether it was ready has left
    # Lowered under the server's feet: every accept fails with EMFILE, whatever it thought its cap was.
    limit = server.files() + 20
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (limit, limit))
    busy = [Wire(server.address).send(get("/never")) for _ in range(20)]
    assert eventually(lambda: server.files() >= limit - 1)
    began = server.cpu_seconds()
    for _ in range(50):
        assert server.ask(get("/health")).status == 200
        assert_error(server.ask(get("/never")), 503, "overloaded")
    mute = [Wire(server.address) for _ in range(100)]
    assert eventually(lambda: server.ask(get("/health")).status == 200)
    time.sleep(1)
    assert server.cpu_seconds() - began < 0.5 * SLACK
    close_all(busy + mute)
    assert eventually(lambda: server.ask(get("/stats")).status == 200)


def test_case_12_pipelined_requests_are_answered_in_order(mock_unharmed):
    server = mock_unharmed.server
    with mock_unharmed(), Wire(server.address) as wire:
        requests = []
        for i in range(200):
            requests.append(get("/slow?ms=3") if i % 50 == 0 else post("/echo", b"%d" % i))
        requests.append(get("/ticks?n=3&ms=1"))
        requests.append(get("/nothing"))
        wire.send(b"".join(requests))
        for i in range(200):
            answer = wire.answer()
            assert answer.body == (b"late" if i % 50 == 0 else b"%d" % i)
        assert wire.answer().body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
        assert_error(wire.answer(), 404)


def test_case_12_pipelined_requests_that_nobody_reads(mock_unharmed):
    server = mock_unharmed.server
    with mock_unharmed():
        before = server.memory()
        with Wire(server.address, receive_buffer=4096, timeout=1) as wire:
            with pytest.raises((TimeoutError, BrokenPipeError, ConnectionResetError)):
                for _ in range(1000):
                    wire.send(post("/echo", b"x" * 50_000))
            assert server.memory() - before < (4 << 20) * SLACK


@pytest.mark.parametrize("body", [b"", b"{"])
def test_case_12_a_request_cut_short_is_dropped(attacked, body):
    with attacked(), Wire(attacked.server.address) as wire:
        wire.send(post("/v1/completions", b'{"model":"recall-gqa"}')[: -22 + len(body)])
        wire.finish_sending()
        assert wire.closed()


def test_case_12_a_client_that_sends_no_more_gets_what_was_answered(mock_unharmed):
    server = mock_unharmed.server
    with mock_unharmed(), Wire(server.address) as wire:
        wire.send(post("/echo", b"one") + post("/echo", b"two"))
        wire.finish_sending()
        assert wire.answer().body == b"one"
        assert wire.answer().body == b"two"
        assert wire.closed()


def test_case_12_half_closing_while_the_answer_is_made_is_leaving(mock_unharmed):
    server = mock_unharmed.server
    gone = stats(server)["gone"]
    with Wire(server.address) as wire:
        wire.send(get("/never"))
        assert eventually(lambda: stats(server)["active"] == 2)
        wire.finish_sending()
        assert wire.closed()
    assert stats(server)["gone"] == gone + 1


# Fault 1: by FIN and by RST, while waiting for the first byte, after it, and in the middle.
@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("path", ["/never", "/ticks?n=100000&ms=20"])
def test_fault_01_leaving_is_noticed_within_a_step(mock_unharmed, how, path):
    server = mock_unharmed.server
    with mock_unharmed():
        gone = stats(server)["gone"]
        wire = Wire(server.address).send(get(path))
        if path != "/never":
            wire.read_until(b"data: 1\n")
        else:
            time.sleep(0.05)
        began = time.monotonic()
        wire.reset() if how == "rst" else wire.socket.close()
        assert eventually(lambda: stats(server)["gone"] == gone + 1)
        assert time.monotonic() - began < 0.2 * SLACK


def test_fault_01_leaving_with_requests_still_queued(mock_unharmed):
    server = mock_unharmed.server
    with mock_unharmed():
        gone = stats(server)["gone"]
        wire = Wire(server.address).send(get("/never") + get("/never") * 5000)
        assert eventually(lambda: stats(server)["active"] >= 2)
        wire.reset()
        assert eventually(lambda: stats(server)["gone"] == gone + 1)


def test_fault_01_two_hundred_come_and_go(mock_unharmed):
    server = mock_unharmed.server
    with mock_unharmed():
        gone = stats(server)["gone"]
        for i in range(200):
            wire = Wire(server.address).send(get("/ticks?n=100000&ms=5"))
            if i % 2:
                wire.read_until(b"data: 0\n")
            wire.reset() if i % 3 else wire.socket.close()
        # One that left before its request was read was never there.
        assert eventually(lambda: stats(server)["active"] <= 4)
        assert stats(server)["gone"] > gone + 100


def test_continue_is_sent_to_those_who_ask(mock_unharmed):
    with Wire(mock_unharmed.server.address) as wire:
        wire.send(post("/echo", b"12345", "Expect: 100-continue")[:-5])
        assert wire.head()[0] == 100
        wire.send(b"12345")
        assert wire.answer().body == b"12345"


def test_bodies_in_chunks_of_every_shape(mock_unharmed):
    head = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Wire(mock_unharmed.server.address) as wire:
        for parts in ([b"a"], [b"abc", b"", b"x" * 100_000][:1] + [b"x" * 100_000], [b"%d" % i for i in range(1, 999)]):
            wire.send(head)
            for part in parts:
                wire.send(chunk(part, b";name=value"))
            wire.send(b"0\r\nX-Trailer: ignored\r\n\r\n")
            assert wire.answer().body == b"".join(parts)


def test_over_a_unix_socket(mocks, tmp_path):
    path = tmp_path / "v.sock"
    server = mocks("--uds", path)
    assert server.address == f"unix:{path}"
    assert path.stat().st_mode & 0o777 == 0o660
    assert server.ask(get("/health", host="anything")).status == 200
    assert server.ask(get("/ticks?n=2&ms=1")).body == b"data: 0\n\ndata: 1\n\n"
    assert server.stop() == 0
    assert not path.exists()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl program")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-subj", "/CN=localhost", "-days", "2", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def test_over_tls(mocks, certificate):
    cert, key = certificate
    server_flags = ("--tls-cert", cert, "--tls-key", key, "--header-ms", 1000)
    # Ready cannot be asked for in plain text.
    command = [MOCK, *map(str, server_flags)]
    server = Server(command, lambda line: line.split('"')[3] if line.startswith('{"address"') else None)
    try:
        assert eventually(lambda: server.address)
        assert server.address.startswith("https://")
        with Wire(server.address, trust=cert) as wire:
            assert wire.socket.version() in ("TLSv1.3", "TLSv1.2")
            assert wire.ask(get("/health")).status == 200
            body = os.urandom(3_000_000)
            assert wire.ask(post("/echo", body)).body == body
            wire.send(get("/ticks?n=3&ms=1") + post("/echo", b"next"))
            assert wire.answer().body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
            assert wire.answer().body == b"next"
            wire.send(get("/never"))
            time.sleep(0.1)
        with Wire(server.address, trust=cert) as wire:
            assert eventually(lambda: wire.ask(get("/stats")).json()["gone"] == 1)
        # Plain text, silence and an old protocol: each ends, none disturbs.
        plain = server.address.replace("https", "http")
        with Wire(plain) as wire:
            wire.send(get("/health"))
            assert b"HTTP/1.1 200" not in wire.rest()
        with Wire(plain) as silent:
            assert silent.closed()
        old = subprocess.run(
            ["openssl", "s_client", "-connect", plain.removeprefix("http://"), "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
            input="", capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "Cipher is (NONE)" in old.stdout, old.stdout
        with Wire(server.address, trust=cert) as wire:
            assert wire.ask(get("/health")).status == 200
    finally:
        server.stop()


@pytest.fixture
def bad_network():
    """A network of its own, in which packets can be lost: the name of its namespace."""
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("tc") is None:
        pytest.skip("needs root, ip and tc")
    name = f"vortex-test-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode != 0:
        pytest.skip("network namespaces are not allowed here")
    subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
    yield name
    subprocess.run(["ip", "netns", "del", name], check=True)


def test_fault_20_a_stream_through_a_lossy_line_arrives_whole(bad_network):
    shaped = subprocess.run(
        ["ip", "netns", "exec", bad_network, "tc", "qdisc", "add", "dev", "lo", "root", "netem", "loss", "5%", "delay",
         "5ms"], capture_output=True, text=True,
    )  # fmt: skip
    if shaped.returncode != 0:
        pytest.skip(f"tc cannot lose packets here: {shaped.stderr.strip()}")
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from serving import start_mock; from wire import get\n"
        "server = start_mock()\n"
        "body = server.ask(get('/ticks?n=100&ms=5')).body\n"
        "assert body == b''.join(b'data: %d\\n\\n' % i for i in range(100)), body\n"
        "assert server.stop() == 0\n"
    )
    subprocess.run(
        ["ip", "netns", "exec", bad_network, os.sys.executable, "-c", script, os.path.dirname(__file__)],
        check=True, timeout=60, env=os.environ | {"PYTHONPATH": os.path.dirname(__file__) + "/../python"},
    )  # fmt: skip


@pytest.fixture
def two_machines(bad_network):
    """Two networks with a line between them that can be cut: (server's, its address, client's)."""
    other = bad_network + "-b"
    commands = f"""
        ip netns add {other}
        ip link add vtx-a{os.getpid()} netns {bad_network} type veth peer name vtx-b netns {other}
        ip -n {bad_network} link set vtx-a{os.getpid()} name vtx-a
        ip -n {bad_network} addr add 10.201.0.1/24 dev vtx-a
        ip -n {other} addr add 10.201.0.2/24 dev vtx-b
        ip -n {bad_network} link set vtx-a up
        ip -n {other} link set vtx-b up"""
    try:
        for command in commands.strip().split("\n"):
            if subprocess.run(command.split(), capture_output=True).returncode != 0:
                pytest.skip(f"not allowed here: {command.strip()}")
        yield bad_network, "10.201.0.1", other
    finally:
        subprocess.run(["ip", "netns", "del", other], capture_output=True)


def inside(network, *command):
    return ["ip", "netns", "exec", network, *map(str, command)]


@pytest.mark.slow
def test_fault_20_a_line_that_is_cut_ends_the_stream_within_a_minute(two_machines):
    network, address, other = two_machines
    server = Server(
        inside(network, MOCK, "--host", "0.0.0.0", "--port", 18999),
        lambda line: line.split('"')[3] if line.startswith('{"address"') else None,
    )
    curl = ["curl", "-sN", f"http://{address}:18999/ticks?n=100000&ms=100"]
    client = subprocess.Popen(inside(other, *curl), stdout=subprocess.PIPE)
    try:
        assert client.stdout.read(20)
        subprocess.run(["ip", "-n", other, "link", "set", "vtx-b", "down"], check=True)

        def gone():
            shown = subprocess.run(inside(network, "curl", "-s", "http://127.0.0.1:18999/stats"), capture_output=True)
            return b'"gone":1' in shown.stdout

        began = time.monotonic()
        assert eventually(gone, limit=60, every=1)
        assert time.monotonic() - began > 10  # a short loss is lived through
    finally:
        client.kill()
        client.wait()
        server.process.kill()
        server.stop()


def test_fault_20_a_peer_that_vanished_is_probed_for(mock_unharmed):
    """Half open: no FIN, no RST, nothing. The system's own timers must be on, as nothing else would ever tell."""
    if shutil.which("ss") is None:
        pytest.skip("there is no ss program")
    port = mock_unharmed.server.address.rsplit(":", 1)[1]
    with Wire(mock_unharmed.server.address) as wire:
        wire.send(get("/never"))
        time.sleep(0.1)
        listed = subprocess.run(["ss", "-tno", f"sport = :{port}"], capture_output=True, text=True, check=True).stdout
        own = wire.socket.getsockname()[1]
        line = next(line for line in listed.splitlines() if f":{own} " in line)
        assert "keepalive" in line, line


def test_nothing_is_shared_between_connections(mock_unharmed):
    """Fifty at once, each with its own bodies: nobody reads another's."""
    server = mock_unharmed.server
    wrong = []

    def talk(name):
        with Wire(server.address) as wire:
            for i in range(20):
                body = f"{name}-{i}".encode() * (i * 50 + 1)
                if wire.ask(post("/echo", body)).body != body:
                    wrong.append((name, i))

    threads = [threading.Thread(target=talk, args=(i,)) for i in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
