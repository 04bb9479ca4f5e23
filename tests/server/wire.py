"""HTTP/1.1 from the client's side, byte by byte: nothing is repaired, nothing is hidden."""

import json
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

TIMEOUT = 20


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes
    whole: bool  # ended as its framing says

    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json()["error"]


def get(path, *headers, method="GET", host="localhost"):
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def post(path, body, *headers, host="localhost"):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json"]
    return ("\r\n".join([*lines, f"Content-Length: {len(body)}", *headers]) + "\r\n\r\n").encode() + body


def chunk(data, extension=b""):
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


class Wire:
    """One connection. `with Wire(address) as wire: wire.ask(get("/health"))`."""

    def __init__(self, address, timeout=TIMEOUT, receive_buffer=None, trust=None):
        self.buffer = b""
        if address.startswith("unix:"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(address.removeprefix("unix:"))
            return
        url = urlsplit(address)
        self.socket = socket.socket(socket.AF_INET6 if ":" in url.hostname else socket.AF_INET)
        self.socket.settimeout(timeout)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect((url.hostname, url.port))
        if url.scheme == "https":
            context = ssl.create_default_context(cafile=trust)
            context.check_hostname = False
            self.socket = context.wrap_socket(self.socket)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)
        return self

    def send_what_goes(self, data):
        """As much as the server takes before it closes. True when that was all."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def ask(self, data):
        return self.send(data).answer()

    def reset(self):
        """Leaves with a RST, as a killed process may."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def finish_sending(self):
        self.socket.shutdown(socket.SHUT_WR)

    def _receive(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self.buffer += data
        return bool(data)

    def _take(self, size):
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def read_until(self, mark):
        """Up to and with `mark`; what there is where the server closes first."""
        while mark not in self.buffer and self._receive():
            pass
        at = self.buffer.find(mark)
        return self._take(len(self.buffer) if at < 0 else at + len(mark))

    def read_exactly(self, size):
        while len(self.buffer) < size and self._receive():
            pass
        return self._take(size)

    def rest(self):
        while self._receive():
            pass
        return self._take(len(self.buffer))

    def closed(self):
        """Waits for the server to close, having sent nothing more."""
        return self.rest() == b""

    def head(self):
        text = self.read_until(b"\r\n\r\n").decode("latin-1")
        if not text.endswith("\r\n\r\n"):
            raise ConnectionError(f"no answer, but {text!r}")
        first, *lines = text[:-4].split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(": ")
            assert name == name.lower() and name not in headers, text
            headers[name] = value
        return int(first.split(" ")[1]), headers

    def chunks(self):
        """The chunks of a body, and last None when it ended well."""
        while True:
            size = self.read_until(b"\r\n")
            if not size.endswith(b"\r\n"):
                return
            data = self.read_exactly(int(size, 16) + 2)
            if len(data) < int(size, 16) + 2:
                return
            if data == b"\r\n":
                yield None
                return
            yield data[:-2]

    def answer(self, head_only=False):
        status, headers = self.head()
        while status == 100:
            status, headers = self.head()
        if head_only or status == 204:
            return Answer(status, headers, b"", True)
        if headers.get("transfer-encoding") == "chunked":
            parts = list(self.chunks())
            whole = bool(parts) and parts[-1] is None
            return Answer(status, headers, b"".join(part for part in parts if part), whole)
        if "content-length" in headers:
            body = self.read_exactly(int(headers["content-length"]))
            return Answer(status, headers, body, len(body) == int(headers["content-length"]))
        return Answer(status, headers, self.rest(), True)


def ask(address, data, **options):
    with Wire(address, **options) as wire:
        return wire.ask(data)


def assert_error(answer, status, code=None, kind=None):
    """The contract of every error, whoever raised it."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/json"
    assert 1 <= len(answer.headers["x-request-id"]) <= 64
    assert list(answer.json()) == ["error"], answer.body
    error = answer.error
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str) and error["message"]
    assert isinstance(error["type"], str)
    if code is not None:
        assert error["code"] == code
    if kind is not None:
        assert error["type"] == kind
    if status in (429, 503):
        assert int(answer.headers["retry-after"]) >= 1
    return error
