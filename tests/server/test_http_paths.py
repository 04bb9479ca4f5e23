"""Paths, methods, hosts, origins and request ids that somebody made up (reliability cases 10, 11, 26, 27)."""

import re

import pytest
from wire import Wire, ask, assert_error, get, post

ODD_PATHS = [
    "/nothing", "//v1/models", "/v1/..//models", "//v1/..//models", "/v1/models/", "/v1/%6dodels", "/./v1/models",
    "/v1/models%00", "/%2e%2e/%2e%2e/etc/passwd", "/../../etc/passwd", "/v1/models;x", "/V1/MODELS", "/v1\\models",
    "/v1/models%2f..", "/health/../v1/models", "/" + "a" * 20000, "/{}", "/*", "/'\"<script>",
]  # fmt: skip


@pytest.mark.parametrize("path", ODD_PATHS, ids=lambda path: path[:30])
def test_case_10_unknown_paths(attacked, path):
    error = assert_error(attacked.server.ask(get(path)), 404, "not_found", "not_found_error")
    assert path not in error["message"]


@pytest.mark.parametrize(
    "target", ["/v1/models\0", "/v1/mo\tdels", "/v1/mod\x7fels", "v1/models", "*", "", "/é", "ftp://localhost/health"]
)
def test_case_10_targets_that_are_no_path(attacked, target):
    line = f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    assert_error(attacked.server.ask(line), 400, "malformed_request")


@pytest.mark.parametrize("method", ["DELETE", "PUT", "POST", "TRACE", "CONNECT", "get", "G" * 5000])
def test_case_10_wrong_methods_name_the_right_ones(attacked, method):
    answer = attacked.server.ask(get("/health", method=method))
    assert_error(answer, 405, "method_not_allowed", "invalid_request_error")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


def test_case_10_the_query_is_no_part_of_the_path(attacked):
    assert attacked.server.ask(get("/health?a=/../b&c=%00")).status == 200


def test_case_11_foreign_hosts_are_refused_on_loopback(attacked):
    for host in ("evil.com", "localhost.evil.com", "127.0.0.1.evil.com:80", "evil.com:80@localhost", "[::1", "a b"):
        assert_error(attacked.server.ask(get("/v1/models", host=host)), 403, "foreign_host", "permission_error")
    for host in ("localhost", "LOCALHOST:1234", "127.0.0.1", "[::1]:30000"):
        assert attacked.server.ask(get("/health", host=host)).status == 200
    # The host of an absolute target is the one that counts.
    rebound = b"GET http://evil.com/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert_error(attacked.server.ask(rebound), 403, "foreign_host")


def test_case_11_only_origins_of_this_machine_may_read(attacked):
    for origin in ("http://localhost.evil.com", "http://evil.com", "null", "http://localhost@evil.com", "http://localhos"):
        answer = attacked.server.ask(get("/health", f"Origin: {origin}"))
        assert answer.status == 200
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    for origin in ("http://localhost", "https://localhost:3000", "http://127.0.0.1:8080", "http://[::1]:5173"):
        answer = attacked.server.ask(get("/health", f"Origin: {origin}"))
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["vary"] == "origin"
        assert "access-control-allow-credentials" not in answer.headers
    # Errors too: a page must be able to read what was wrong.
    assert "access-control-allow-origin" in attacked.server.ask(get("/nothing", "Origin: http://localhost")).headers


def test_case_11_preflights(attacked):
    wanted = "Access-Control-Request-Method: POST"
    ours = attacked.server.ask(
        get("/v1/completions", "Origin: http://localhost:3000", wanted, method="OPTIONS")
    )
    assert ours.status == 204
    assert "POST" in ours.headers["access-control-allow-methods"]
    assert "authorization" in ours.headers["access-control-allow-headers"]
    theirs = attacked.server.ask(get("/v1/completions", "Origin: http://evil.com", wanted, method="OPTIONS"))
    assert theirs.status == 204
    assert not [name for name in theirs.headers if name.startswith("access-control-")]


def test_case_11_further_origins_by_name(mocks):
    server = mocks("--origin", "https://ui.example")
    answer = server.ask(get("/health", "Origin: https://ui.example"))
    assert answer.headers["access-control-allow-origin"] == "https://ui.example"
    answer = server.ask(get("/health", "Origin: https://ui.example.evil.com"))
    assert "access-control-allow-origin" not in answer.headers


# Case 26, the part of the HTTP layer: a path never leaves the table of routes.
@pytest.mark.parametrize(
    "path", ["/v1/models/../../etc/passwd", "/v1/models/..%2f..%2fetc%2fpasswd", "/file:///etc/passwd", "/etc/passwd"]
)
def test_case_26_no_path_reaches_a_file(attacked, path):
    answer = attacked.server.ask(get(path))
    assert answer.status == 404
    assert_error(answer, 404)
    assert b"root:" not in answer.body


SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@pytest.mark.parametrize(
    "sent",
    ["a b", 'a"b', "a%0d%0aSet-Cookie: x", "a" * 65, "é", "<script>", "a;b", "../a", "{}", "\x0b"],
    ids=lambda sent: ascii(sent)[:24],
)
def test_case_27_request_ids_that_are_unsafe_are_replaced(attacked, sent):
    answer = attacked.server.ask(get("/health", f"x-request-id: {sent}"))
    assert answer.status in (200, 400)
    assert SAFE_ID.fullmatch(answer.headers["x-request-id"])
    assert answer.headers["x-request-id"] != sent


def test_case_27_safe_request_ids_come_back(attacked):
    for path, status in (("/health", 200), ("/nothing", 404)):
        answer = attacked.server.ask(get(path, "X-Request-ID: Client-1.2_3"))
        assert (answer.status, answer.headers["x-request-id"]) == (status, "Client-1.2_3")
    made = {attacked.server.ask(get("/health")).headers["x-request-id"] for _ in range(20)}
    assert len(made) == 20


def test_case_27_a_request_id_with_line_breaks_adds_no_header(attacked):
    with Wire(attacked.server.address) as wire:
        answer = wire.ask(b"GET /health HTTP/1.1\r\nHost: localhost\r\nx-request-id: a\rSet-Cookie: x=1\r\n\r\n")
        assert_error(answer, 400)
        assert "set-cookie" not in answer.headers
    answer = attacked.server.ask(get("/health", "x-request-id: a\r\nSet-Cookie: x=1"))
    assert "set-cookie" not in answer.headers


def test_case_27_a_request_id_of_a_megabyte(attacked):
    with attacked(), Wire(attacked.server.address) as wire:
        wire.send_what_goes(get("/health", "x-request-id: " + "a" * (1 << 20)))
        assert_error(wire.answer(), 431)


def test_case_27_odd_requests_forge_no_log_line(mocks):
    server = mocks("--access-log")
    server.ask(get("/nothing%1b[31m", "x-request-id: fine-1"))
    server.ask(get("/nothing?a=%0d%0aforged", "x-request-id: a b"))
    ask(server.address, post("/echo", b"{}", "x-request-id: fine-2"))
    server.stop()
    lines = [line for line in server.log if " info " in line and "/health" not in line]
    assert len(lines) == 3
    assert not any("forged" in line or "\x1b" in line for line in lines)
    assert "fine-2 POST '/echo' 200 2 bytes" in lines[2]
