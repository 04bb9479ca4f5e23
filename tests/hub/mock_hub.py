#!/usr/bin/env python3
"""A hub for tests: the routes a download uses, on two ports of 127.0.0.1 (the hub and its "CDN").

Usage: mock_hub.py LOG. Prints the two ports on one line, then serves until its standard input ends. Every
request is appended to LOG: "<hub|cdn> METHOD PATH authorization=<value> range=<value> agent=<value>".
What goes wrong is chosen by the name of the repository; see REPOSITORIES and their uses in Handler.
"""

import hashlib
import http.server
import json
import sys
import threading
import time

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def pattern(size, seed):
    """Bytes that a test can make again: byte i is (7 i + seed) mod 251."""
    period = bytes((7 * i + seed) % 251 for i in range(251))
    return (period * (size // 251 + 1))[:size]


CONFIG = b'{"model_type": "llama"}'
TOKENIZER = b'{"version": "1.0"}'
PLAIN = {"config.json": CONFIG, "tokenizer.json": TOKENIZER}


def whole(seed):
    return {**PLAIN, "model.safetensors": pattern(300_000, seed)}


def index(*shards):
    weights = {f"w{i}": shard for i, shard in enumerate(shards)}
    return json.dumps({"metadata": {}, "weight_map": weights}).encode()


SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
REPOSITORIES = {
    "org/good": {**whole(1), "generation_config.json": b"{}", "README.md": b"#", "pytorch_model.bin": b"x"},
    "org/sharded": {
        **PLAIN,
        "model.safetensors.index.json": index(*SHARDS),
        SHARDS[0]: pattern(120_000, 2),
        SHARDS[1]: pattern(80_000, 3),
    },
    "org/drops": whole(4),
    "org/norange": whole(5),
    "org/badrange": whole(5),
    "org/badsum": whole(6),
    "org/short": whole(7),
    "org/longer": whole(7),
    "org/gated": whole(8),
    "org/private": whole(9),
    "org/stalls": whole(10),
    "org/slow": whole(11),
    "org/huge": whole(12),
    "org/etag": whole(13),
    "org/evilshard": {**PLAIN, "model.safetensors.index.json": index("../../../evil.safetensors")},
    "org/evilnames": {**whole(14), "../../escape.gguf": b"x", "/abs.gguf": b"x"},
    "org/badsha": whole(15),
    "org/deep": whole(16),
    "org/busy": whole(17),
    "org/pickled": {**PLAIN, "pytorch_model.bin": b"x"},
    "org/quants": {
        "m-Q4_K.gguf": b"GGUF q4k",
        "m-Q4_K_M.gguf": b"GGUF q4km",
        "m-IQ4_K.gguf": b"GGUF iq4k",
        "m-Q8_0/m-Q8_0-00001-of-00002.gguf": b"GGUF part 1",
        "m-Q8_0/m-Q8_0-00002-of-00002.gguf": b"GGUF part 2",
        "mmproj-Q4_K_M.gguf": b"GGUF vision",
    },
    "org/onequant": {"only.Q4_1.gguf": b"GGUF only"},
}
DROPS_PER_FILE = 2


class Hub:
    def __init__(self, log_path):
        self.log_path = log_path
        self.lock = threading.Lock()
        self.drops = {}
        self.ports = {}

    def log(self, line):
        with self.lock, open(self.log_path, "a", encoding="utf-8") as log:
            log.write(line + "\n")

    def drops_now(self, key, times):
        with self.lock:
            self.drops[key] = self.drops.get(key, 0) + 1
            return self.drops[key] <= times


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub = None
    place = ""

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def send(self, status, content=b"", headers=(), body=True):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def answer(self, body):
        seen = {name: self.headers.get(name, "-") for name in ("Authorization", "Range", "User-Agent")}
        self.hub.log(
            f"{self.place} {self.command} {self.path} authorization={seen['Authorization']} "
            f"range={seen['Range']} agent={seen['User-Agent']}"
        )
        if self.path.startswith("/bytes/"):
            return self.send(200, pattern(int(self.path[len("/bytes/") :]), 0), body=body)
        if self.path == "/loop":
            return self.send(302, headers=[("Location", "/loop")], body=body)
        if self.path.startswith("/api/models/"):
            return self.model_info(body)
        parts = self.path.lstrip("/").split("?")[0].split("/", 4)
        repository = "/".join(parts[:2])
        files = REPOSITORIES.get(repository, {})
        if len(parts) < 5 or parts[3] != COMMIT or parts[4] not in files:
            return self.send(404, b"Entry not found", body=body)
        if repository == "org/gated" and parts[4] != "config.json":
            return self.send(403, b"Access to model is restricted", [("X-Error-Code", "GatedRepo")], body=body)
        return self.file(repository, parts[4], files[parts[4]], body)

    def model_info(self, body):
        repository, _, revision = self.path[len("/api/models/") :].partition("/revision/")
        if repository == "org/private" and self.headers.get("Authorization") != "Bearer sesame":
            return self.send(401, b"Invalid credentials", body=body)
        if repository not in REPOSITORIES or revision not in ("main", COMMIT, "refs%2Fpr%2F1"):
            return self.send(404, b"Repository not found", body=body)
        sha = "../../somewhere" if repository == "org/badsha" else COMMIT
        description = {"sha": sha, "siblings": [{"rfilename": name} for name in REPOSITORIES[repository]]}
        content = json.dumps(description).encode()
        if repository == "org/deep":
            content = b"[" * 100_000
        return self.send(200, content, body=body)

    def file(self, repository, name, content, body):
        large = name.endswith((".safetensors", ".gguf"))
        if large and self.place == "hub":
            return self.redirect(repository, name, content, body)
        if not large:
            etag = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            return self.send(200, content, [("ETag", f'"{etag}"')], body=body)
        return self.large_file(repository, name, content, body)

    def redirect(self, repository, name, content, body):
        etag = hashlib.sha256(content).hexdigest()
        size = len(content)
        if repository == "org/badsum":
            etag = hashlib.sha256(b"something else").hexdigest()
        if repository == "org/etag":
            etag = "../../../evil"
        if repository == "org/huge":
            size = 1 << 49
        target = f"http://127.0.0.1:{self.hub.ports['cdn']}{self.path}?signature=secret"
        headers = [("X-Linked-Etag", f'"{etag}"'), ("X-Linked-Size", str(size)), ("Location", target)]
        return self.send(302, b"Found", headers, body=body)

    def large_file(self, repository, name, content, body):
        if repository == "org/busy" and self.hub.drops_now((repository, name), 2):
            return self.send(503, b"busy", body=body)
        start = 0
        wanted = self.headers.get("Range")
        if wanted and repository != "org/norange":
            start = int(wanted.removeprefix("bytes=").split("-")[0])
        self.send_response(206 if start else 200)
        if start:
            first = start + 1 if repository == "org/badrange" else start
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        rest = content[start:]
        if repository == "org/longer":
            rest += b"more"
        if repository == "org/short":
            rest = rest[: len(rest) // 2]
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if body:
            self.send_body(repository, name, rest)
        return None

    def send_body(self, repository, name, rest):
        if repository in ("org/drops", "org/norange", "org/badrange") and self.hub.drops_now(
            (repository, name), DROPS_PER_FILE
        ):
            self.wfile.write(rest[: len(rest) // 2])
            self.close_connection = True
        elif repository == "org/stalls":
            self.wfile.write(rest[:1000])
            self.wfile.flush()
            time.sleep(8)
            self.close_connection = True
        elif repository == "org/slow":
            for at in range(0, len(rest), 30_000):
                self.wfile.write(rest[at : at + 30_000])
                self.wfile.flush()
                time.sleep(0.05)
        else:
            self.wfile.write(rest)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


def serve(hub, place):
    handler = type("Handler_" + place, (Handler,), {"hub": hub, "place": place})
    server = Server(("127.0.0.1", 0), handler)
    hub.ports[place] = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main():
    hub = Hub(sys.argv[1])
    serve(hub, "hub")
    serve(hub, "cdn")
    print(hub.ports["hub"], hub.ports["cdn"], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
