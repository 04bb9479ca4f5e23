"""Coming up, draining, stopping, and what the world does in between (faults 14, 15, 17 and 19)."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest
from program import MODEL, PROGRAM, environment
from serving import MOCK, SLACK, eventually, start_mock
from wire import Wire, assert_error, ask, get, post

LONG = {"model": "recall-gqa", "prompt": "Once upon a time", "stream": True, "temperature": 0, "ignore_eos": True}


def completion(tokens, **changes):
    return post("/v1/completions", LONG | {"max_tokens": tokens} | changes)


def events(body):
    return [line.removeprefix("data: ") for line in body.decode().split("\n") if line.startswith("data: ")]


def test_fault_14_a_drain_finishes_what_runs(mocks):
    server = mocks()
    with Wire(server.address) as running, Wire(server.address) as idle:
        assert idle.ask(get("/health")).status == 200
        running.send(get("/ticks?n=100&ms=20"))
        running.read_until(b"data: 1\n")
        server.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: server.ask(get("/health")).status == 503)
        assert_error(server.ask(get("/health")), 503, "draining", "unavailable_error")
        for wire in (idle, None):
            answer = wire.ask(post("/echo", b"{}")) if wire else server.ask(post("/echo", b"{}"))
            assert_error(answer, 503, "draining")
        assert running.rest().endswith(b"data: 99\n\n\r\n0\r\n\r\n")
    assert server.process.wait(5) == 0


def test_fault_14_a_drain_of_an_idle_server_is_over_at_once(mocks):
    server = mocks()
    idle = [Wire(server.address) for _ in range(50)]
    assert all(wire.ask(get("/health")).status == 200 for wire in idle)
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 1 * SLACK
    assert all(wire.closed() for wire in idle)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
def test_fault_14_vortex_drains(vortexes, number):
    server = vortexes()
    with Wire(server.address) as running:
        running.send(completion(1500))
        assert running.head()[0] == 200
        server.process.send_signal(number)
        assert eventually(lambda: server.ask(get("/health")).status == 503)
        assert server.ask(get("/health/live")).status == 200
        assert_error(server.ask(completion(1)), 503, "draining")
        assert_error(server.ask(get("/v1/models")), 503, "draining")
        parts = list(running.chunks())
        assert parts[-1] is None
        assert events(b"".join(parts[:-1]))[-1] == "[DONE]"
    assert server.process.wait(10) == 0


def test_fault_14_what_outlasts_the_time_gets_an_error_event(vortexes):
    server = vortexes("--shutdown-timeout", 1)
    with Wire(server.address) as running:
        running.send(completion(30_000))
        assert running.head()[0] == 200
        server.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        parts = [part for part in running.chunks() if part]
        assert time.monotonic() - began < 5 * SLACK
        last = events(b"".join(parts))[-1]
        assert "error" in json.loads(last)
    assert server.process.wait(10) == 0


def test_fault_14_a_second_signal_ends_it_now(vortexes):
    server = vortexes("--shutdown-timeout", 60)
    with Wire(server.address) as running:
        running.send(completion(30_000))
        assert running.head()[0] == 200
        server.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: server.ask(get("/health")).status == 503)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(10)
        assert time.monotonic() - began < 3 * SLACK


def test_fault_14_a_broken_pipe_is_no_signal(mock_unharmed):
    server = mock_unharmed.server
    with mock_unharmed():
        for _ in range(50):
            wire = Wire(server.address).send(get("/ticks?n=1000&ms=0&size=1000"))
            wire.reset()
        server.process.send_signal(signal.SIGPIPE)


def test_fault_15_killed_and_started_again_on_the_same_port(vortexes):
    first = vortexes()
    port = int(first.address.rsplit(":", 1)[1])
    wires = [Wire(first.address) for _ in range(10)]
    for wire in wires:
        wire.send(completion(1000))
    assert wires[0].head()[0] == 200
    first.process.kill()
    first.process.wait()
    second = vortexes(port=port)
    assert second.address.endswith(f":{port}")
    answer = second.ask(completion(3))
    assert answer.status == 200 and events(answer.body)[-1] == "[DONE]"


def test_fault_15_killed_and_started_again_on_the_same_path(mocks, tmp_path):
    path = tmp_path / "v.sock"
    first = mocks("--uds", path)
    first.process.kill()
    first.process.wait()
    assert path.exists()
    second = mocks("--uds", path)
    assert second.ask(get("/health")).status == 200
    # A living one is not pushed aside.
    third = subprocess.run([MOCK, "--uds", path], capture_output=True, text=True, check=False)
    assert third.returncode == 78 and "another server" in third.stderr
    assert second.ask(get("/health")).status == 200


# A clock that jumps by an hour each way, five times a second; the monotonic one is left alone.
JUMPING_CLOCK = r"""
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long jump(void) {
  struct timespec now;
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
  return (now.tv_nsec / 200000000) % 2 ? 3600 : -3600;
}
int clock_gettime(clockid_t clock, struct timespec* time) {
  const int failed = syscall(SYS_clock_gettime, clock, time);
  if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += jump();
  return failed;
}
int gettimeofday(struct timeval* restrict time, void* restrict zone) {
  (void)zone;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return 0;
}
time_t time(time_t* out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}
"""


@pytest.fixture(scope="module")
def jumping_clock(tmp_path_factory):
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    if SLACK > 1:
        pytest.skip("a sanitizer's runtime wants to be loaded first")
    folder = tmp_path_factory.mktemp("clock")
    (folder / "clock.c").write_text(JUMPING_CLOCK)
    library = folder / "clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, folder / "clock.c"], check=True)
    return str(library)


def hours_seen(answers):
    return {answer.headers["date"].split(" ")[4][:2] for answer in answers}


def test_fault_17_steps_of_the_clock_end_no_connection(jumping_clock):
    server = start_mock("--idle-ms", 5000, "--header-ms", 5000, "--body-ms", 5000, LD_PRELOAD=jumping_clock)
    try:
        with Wire(server.address) as idle, Wire(server.address) as uploading, Wire(server.address) as streaming:
            uploading.send(post("/echo", b"x" * 10)[:-5])
            streaming.send(get("/ticks?n=100&ms=20"))
            answers = []
            for _ in range(20):
                answers.append(idle.ask(get("/health")))
                time.sleep(0.1)
            # The clock did jump, or the test shows nothing.
            assert len(hours_seen(answers)) >= 2
            assert all(answer.status == 200 for answer in answers)
            assert uploading.ask(b"x" * 5).body == b"x" * 10
            assert streaming.answer().body.endswith(b"data: 99\n\n")
        # Deadlines still come in their time.
        began = time.monotonic()
        with Wire(server.address) as mute:
            assert mute.closed()
        assert 4 < time.monotonic() - began < 7
    finally:
        server.stop()


def test_fault_17_vortex_under_a_jumping_clock(vortexes, jumping_clock):
    server = vortexes(LD_PRELOAD=jumping_clock)
    with Wire(server.address) as wire:
        answers = [wire.ask(completion(40)) for _ in range(10)]
    texts = [events(answer.body) for answer in answers]
    assert all(answer.whole and text[-1] == "[DONE]" for answer, text in zip(answers, texts))
    metrics = server.ask(get("/metrics")).body.decode()
    sums = re.findall(r"^(vllm:\w+_seconds_sum)\S* (\S+)$", metrics, re.MULTILINE)
    assert sums and all(0 <= float(value) < 600 for _, value in sums), sums


def test_fault_19_a_log_that_nobody_reads_blocks_nothing():
    process = subprocess.Popen(
        [MOCK, "--access-log"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    address = json.loads(process.stdout.readline())["address"]
    try:
        with Wire(address) as wire:
            began = time.monotonic()
            for _ in range(3000):  # three times what the pipe holds
                assert wire.ask(get("/health")).status == 200
            assert time.monotonic() - began < 10 * SLACK
            latency = time.monotonic()
            assert wire.ask(get("/ticks?n=3&ms=1")).whole
            assert time.monotonic() - latency < 0.5 * SLACK
        held = os.read(process.stderr.fileno(), 1 << 20)
        assert b"GET '/health' 200" in held
        ask(address, get("/health"))
        time.sleep(0.1)
        assert b"lines of the log were dropped" in os.read(process.stderr.fileno(), 1 << 20)
    finally:
        process.terminate()
        assert process.wait(10) == 0


def test_fault_19_vortex_with_a_log_that_nobody_reads(tmp_path):
    """The port is found in a file of the kernel, as the log that names it is not read."""
    process = subprocess.Popen(
        [PROGRAM, "serve", MODEL, "--uds", str(tmp_path / "v.sock"), "--log-level", "debug"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
    )  # fmt: skip
    address = f"unix:{tmp_path / 'v.sock'}"
    try:
        assert eventually(lambda: (tmp_path / "v.sock").exists(), limit=60)
        assert eventually(lambda: ask(address, get("/health")).status == 200, limit=60)
        with Wire(address) as wire:
            for _ in range(3000):
                assert wire.ask(get("/nothing")).status == 404
            assert events(wire.ask(completion(5)).body)[-1] == "[DONE]"
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_the_service_manager_hears_of_it(vortexes, tmp_path):
    path = tmp_path / "notify"
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(path))
    manager.settimeout(30)
    server = vortexes(NOTIFY_SOCKET=str(path), WATCHDOG_USEC="400000")
    heard = []
    while "READY=1" not in heard:
        heard += manager.recv(4096).decode().split("\n")
    while "WATCHDOG=1" not in heard:
        heard += manager.recv(4096).decode().split("\n")
    server.process.send_signal(signal.SIGTERM)
    while "STOPPING=1" not in heard:
        heard += manager.recv(4096).decode().split("\n")
    assert server.process.wait(10) == 0


def test_fault_14_ends_well_however_early_it_is_asked(vortexes):
    """The drain of an idle server is over before the signal's own thread has finished asking for it."""
    assert [vortexes().stop() for _ in range(10)] == [0] * 10


def test_a_name_that_is_given_twice_is_served_once(vortexes):
    server = vortexes("--served-model-name", "one,two,one")
    assert [model["id"] for model in server.ask(get("/v1/models")).json()["data"]] == ["one", "two"]
