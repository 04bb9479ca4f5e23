"""Starts examples/router/serve.py and speaks with what it started."""

import signal
import subprocess
import sys
import threading

from program import MODEL, PROGRAM, ROOT, environment


class Fleet:
    """Two replicas behind the router. `address` is the router's, `replicas` are (address, process id)."""

    def __init__(self, *flags, model=MODEL):
        self.process = subprocess.Popen(
            [sys.executable, ROOT / "examples/router/serve.py", model, "--port", "0", "--metrics-port", "0", *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(VORTEX_BIN=PROGRAM),
            text=True,
        )
        self.log = []
        self.replicas = []
        self.address = None
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        self._read_addresses()

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line.rstrip("\n"))

    def _read_addresses(self):
        for line in self.process.stdout:
            match line.split():
                case ["replica", address, "pid", number]:
                    self.replicas.append((address, int(number)))
                case ["ready", address]:
                    self.address = address
                    return
        self._reader.join(5)
        raise AssertionError("\n".join(self.log))

    def stop(self, how=signal.SIGTERM, limit=60):
        """Its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(limit)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self._reader.join(5)
