#!/usr/bin/env python3
"""Serves MODEL from several replicas on this machine behind vllm-router: examples/router/serve.py MODEL [FLAGS]

Flags that are not its own go to every `vortex serve`. The last line on stdout before requests are taken is
`ready http://HOST:PORT`. Ctrl-C or SIGTERM stops the router, lets the replicas finish what runs, and exits with 0.
"""

import argparse
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VORTEX = os.environ.get("VORTEX_BIN") or str(ROOT / "build/release/bin/vortex")
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)  # loaded before any fork


class Stopped(Exception):
    """A signal asked for the end."""


def end_with_parent():
    """Runs in the child: it gets SIGTERM should this script be killed."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Program:
    """A child in a session of its own, so that Ctrl-C reaches it once, through us. Its lines get its name."""

    def __init__(self, name, command):
        self.name = name
        self.url = None
        self._listening = threading.Event()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
        threading.Thread(target=self._relay, daemon=True).start()

    def _relay(self):
        for line in self.process.stdout:
            print(f"{self.name}: {line}", end="", file=sys.stderr, flush=True)
            if self.url is None and (found := re.search(r"listening on (https?://\S+)", line)):
                self.url = found[1]
                self._listening.set()
        self._listening.set()

    def wait_for_url(self, limit):
        self._listening.wait(limit)
        if self.url is None:
            raise SystemExit(f"serve.py: {self.name} does not listen (see its lines above)")
        return self.url

    def ask_to_end(self):
        if self.process.poll() is None:
            self.process.terminate()

    def end_by(self, deadline):
        try:
            self.process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            print(f"serve.py: {self.name} did not end in time and is killed", file=sys.stderr)
            self.process.kill()
            self.process.wait()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def find_router():
    beside = Path(sys.executable).with_name("vllm-router")
    candidates = [os.environ.get("VLLM_ROUTER"), str(beside), str(ROOT / ".venv/bin/vllm-router"), "vllm-router"]
    for candidate in filter(None, candidates):
        if found := shutil.which(candidate):
            return found
    raise SystemExit("serve.py: vllm-router is not installed (scripts/setup.sh does it, or pip install vllm-router)")


def replica_command(options, flags):
    command = [VORTEX, "serve", options.model, "--host", "127.0.0.1", "--port", "0"]
    command += ["--shutdown-timeout", str(options.shutdown_timeout)]
    if "--threads" not in flags:
        command += ["--threads", str(max(1, (os.cpu_count() or 1) // options.replicas))]
    return command + flags


def router_command(options, port, urls):
    return [
        *[find_router(), "--host", options.host, "--port", str(port), "--worker-urls", *urls],
        *["--policy", options.policy, "--prometheus-port", str(options.metrics_port or free_port())],
        # A dead replica is noticed by its next request in any case; these notice one that is idle, or back.
        *["--health-check-interval-secs", "2", "--health-failure-threshold", "1", "--health-success-threshold", "1"],
        *["--worker-startup-check-interval", "1", "--log-level", "warning"],
    ]


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def wait_until(condition, program, limit):
    deadline = time.monotonic() + limit
    while not condition():
        if program.process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"serve.py: {program.name} is not ready (see its lines above)")
        time.sleep(0.05)


def watch(router, replicas):
    """Returns when nothing is left to serve with; a replica that dies is named and missed, no more."""
    alive = list(replicas)
    while alive and router.process.poll() is None:
        for replica in [one for one in alive if one.process.poll() is not None]:
            alive.remove(replica)
            print(f"serve.py: {replica.name} died, {len(alive)} left", file=sys.stderr, flush=True)
        time.sleep(0.2)
    raise SystemExit(f"serve.py: {'the router died' if alive else 'no replica is left'}")


def serve(options, flags, started):
    for index in range(options.replicas):
        started.append(Program(f"replica {index + 1}", replica_command(options, flags)))
    replicas = list(started)
    urls = [replica.wait_for_url(options.start_timeout) for replica in replicas]
    for replica, url in zip(replicas, urls, strict=True):
        wait_until(lambda url=url: answers(f"{url}/health"), replica, options.start_timeout)
        print(f"replica {url} pid {replica.process.pid}", flush=True)
    port = options.port or free_port()
    router = Program("router", router_command(options, port, urls))
    started.append(router)
    here = f"http://{options.host}:{port}"
    wait_until(lambda: answers(f"{here}/readiness"), router, 60)
    print(f"ready {here}", flush=True)
    watch(router, replicas)


def stop(signal_number, _):
    raise Stopped(signal_number)


def ignore_signals():
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="what `vortex serve` takes")
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--host", default="127.0.0.1", help="address of the router; replicas stay on 127.0.0.1")
    parser.add_argument("--port", type=int, default=30000, help="of the router; 0 takes a free one")
    parser.add_argument("--metrics-port", type=int, default=29000, help="of the router; 0 takes a free one")
    parser.add_argument("--policy", default="cache_aware", choices=["cache_aware", "round_robin", "power_of_two"])
    parser.add_argument("--start-timeout", type=float, default=600, help="seconds a replica may take to load")
    parser.add_argument(
        "--shutdown-timeout", type=int, default=30, help="seconds that running requests have at the end"
    )
    options, flags = parser.parse_known_args()
    if not 1 <= options.replicas <= 64:
        parser.error("--replicas: 1 to 64")
    return options, flags


def main():
    options, flags = read_arguments()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    started = []
    try:
        serve(options, flags, started)
    except Stopped:
        print("serve.py: stopping", file=sys.stderr, flush=True)
    finally:
        ignore_signals()
        end_all(started, options.shutdown_timeout)


def end_all(started, shutdown_timeout):
    """The router first, so that nobody is sent to a replica that drains; then the replicas, all at once."""
    routers = [program for program in started if program.name == "router"]
    replicas = [program for program in started if program.name != "router"]
    for group in (routers, replicas):
        for program in group:
            program.ask_to_end()
        deadline = time.monotonic() + shutdown_timeout + 5
        for program in group:
            program.end_by(deadline)


if __name__ == "__main__":
    main()
