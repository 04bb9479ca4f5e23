"""Starts servers and looks at them from outside."""

import json
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

from program import MODEL, PROGRAM, environment
from wire import ask, get

# Sanitizers make everything slower and larger.
SLACK = 10 if Path(PROGRAM).parent.parent.name in ("dev", "tsan") or "VORTEX_TEST_SLACK" in os.environ else 1
MOCK = str(Path(PROGRAM).with_name("http_test_server"))


class Server:
    """A process that listens. `address` is what it printed."""

    def __init__(self, command, read_address, **variables):
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(**variables),
            text=True,
        )
        self.pid = self.process.pid
        self.log = []
        self._found = threading.Event()
        self.address = None
        self._readers = [
            threading.Thread(target=self._read, args=(stream, read_address), daemon=True)
            for stream in (self.process.stdout, self.process.stderr)
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream, read_address):
        for line in stream:
            self.log.append(line.rstrip("\n"))
            if self.address is None and (address := read_address(line)):
                self.address = address
                self._found.set()
        self._found.set()

    def wait_until_ready(self, limit=60):
        assert self._found.wait(limit) and self.address, "\n".join(self.log)
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            try:
                if ask(self.address, get("/health")).status == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.05)
        raise TimeoutError("\n".join(self.log))

    def ask(self, data, **options):
        return ask(self.address, data, **options)

    @property
    def alive(self):
        return self.process.poll() is None

    def files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def memory(self):
        """Resident bytes."""
        with open(f"/proc/{self.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self, limit=30):
        """Exit status after SIGTERM."""
        if self.alive:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(limit)
        finally:
            self.process.kill()
            self.process.wait()
            for reader in self._readers:
                reader.join(5)


def start_mock(*flags, **variables):
    """The HTTP layer in front of a mocked engine: tests/server/http_test_server.cc says what it answers."""

    def read_address(line):
        return json.loads(line)["address"] if line.startswith('{"address"') else None

    return Server([MOCK, *map(str, flags)], read_address, **variables).wait_until_ready()


def start_vortex(*flags, model=MODEL, port=0, **variables):
    def read_address(line):
        found = re.search(r"(https?://[0-9.:\[\]a-f]+:\d+|unix:/[^\s\"]+)", line)
        return found and found[1]

    command = [PROGRAM, "serve", model, "--port", str(port), *map(str, flags)]
    return Server(command, read_address, **variables).wait_until_ready()


def eventually(condition, limit=10, every=0.02):
    deadline = time.monotonic() + limit
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(every)
    return value
