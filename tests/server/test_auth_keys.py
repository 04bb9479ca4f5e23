"""Keys: who needs one, what a wrong one can learn, where they never show (cases 45 to 48 and 52)."""

import os
import random
import statistics
import subprocess
import time

import pytest
from program import MODEL, PROGRAM, environment
from serving import SLACK, Server, eventually, start_mock, start_vortex
from wire import Wire, assert_error, get, post

USER, OTHER, ADMIN = "sk-user-4f9c2a77d1", "sk-other-0b6e9d53aa", "sk-admin-93e1c0ff24"
PUBLIC = {"/health", "/health/live", "/health/ready", "/v1/health", "/ping"}


def bearer(key):
    return f"Authorization: Bearer {key}"


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    """vortex serve with a key from a file, one from the environment, and an admin key."""
    path = tmp_path_factory.mktemp("keys") / "keys"
    path.write_text(f"{USER}\n")
    os.chmod(path, 0o600)
    server = start_vortex("--api-key-file", path, VORTEX_API_KEY=OTHER, VORTEX_ADMIN_API_KEY=ADMIN)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def mock_keyed():
    server = start_mock("--api-key", USER, "--api-key", OTHER, "--admin-key", ADMIN)
    yield server
    server.stop()


def routes_of(server, *headers):
    paths = server.ask(get("/openapi.json", *headers)).json()["paths"]
    return [(method.upper(), path) for path, item in paths.items() for method in item]


def test_case_45_every_route_but_the_public_ones_needs_a_key(keyed):
    routes = routes_of(keyed, bearer(USER))
    assert {"/v1/chat/completions", "/v1/completions", "/v1/models", "/metrics"} <= {path for _, path in routes}
    public = set()
    for method, path in routes:
        for key in ((), (bearer("wrong"),), ("Authorization: Basic " + USER,)):
            request = post(path, b"{}", *key) if method == "POST" else get(path, *key, method=method)
            answer = keyed.ask(request)
            if answer.status == 401:
                assert_error(answer, 401, "invalid_api_key", "authentication_error")
                assert answer.headers["www-authenticate"] == "Bearer"
            else:
                public.add(path)
    assert public <= PUBLIC and "/health" in public


def test_case_45_a_route_that_is_not_in_the_table_does_not_exist(keyed):
    for path in ("/", "/docs", "/admin", "/v1", "/debug", "/invocations", "/pause", "/update_weights", "/slots"):
        assert keyed.ask(get(path)).status in (401, 404), path


def test_case_46_keys_from_the_file_and_from_the_environment(keyed):
    for key in (USER, OTHER, ADMIN):
        assert keyed.ask(get("/v1/models", bearer(key))).status == 200
    for key in (USER[:-1], USER + "x", USER.upper(), USER + " " + OTHER, "", "*"):
        assert_error(keyed.ask(get("/v1/models", bearer(key))), 401)


def near_and_far(count):
    """Tries in a random order: the same first half, all but the last letter, nothing in common."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    tries = []
    for _ in range(count):
        far = "".join(random.choice(letters) for _ in USER)
        tries.append(("far", far))
        tries.append(("half", USER[: len(USER) // 2] + far[len(USER) // 2 :]))
        tries.append(("near", USER[:-1] + "!"))
    random.shuffle(tries)
    return tries


def test_case_46_comparing_tells_nothing(mock_keyed):
    times = {"far": [], "half": [], "near": []}
    with Wire(mock_keyed.address) as wire:
        for kind, key in near_and_far(3000):
            request = get("/tenant", bearer(key))
            began = time.perf_counter()
            assert wire.ask(request).status == 401
            times[kind].append(time.perf_counter() - began)
    medians = {kind: statistics.median(values) for kind, values in times.items()}
    # What the compare itself takes is far below: this holds the whole path to a few hundredths.
    assert max(medians.values()) < 1.1 * min(medians.values()), medians


def test_case_46_keys_show_nowhere(keyed):
    for key in (USER, OTHER, ADMIN, "sk-wrong-1234567890"):
        keyed.ask(get("/v1/models", bearer(key)))
        keyed.ask(get("/nothing?key=" + key, bearer(key)))
        keyed.ask(post("/v1/completions", b"{", bearer(key)))
    metrics = keyed.ask(get("/metrics", bearer(USER))).body.decode()
    shown = subprocess.run(["ps", "-o", "args=", "-p", str(keyed.pid)], capture_output=True, text=True, check=True)
    for key in (USER, OTHER, ADMIN, "sk-wrong-1234567890"):
        for place in (metrics, shown.stdout, "\n".join(keyed.log)):
            assert key not in place


def test_case_47_admin_routes_refuse_user_keys(mock_keyed):
    assert_error(mock_keyed.ask(get("/admin")), 401)
    assert_error(mock_keyed.ask(get("/admin", bearer(USER))), 403, "admin_key_needed", "permission_error")
    assert mock_keyed.ask(get("/admin", bearer(ADMIN))).status == 200


def test_case_47_without_an_admin_key_there_are_no_admin_routes(mock_server, mocks):
    assert_error(mock_server.ask(get("/admin")), 404)
    assert_error(mock_server.ask(get("/admin", bearer("anything"))), 404)
    assert_error(mocks("--api-key", USER).ask(get("/admin", bearer(USER))), 404)


def test_case_47_no_route_sets_paths_flows_policies_templates_or_log_levels(keyed):
    words = ("path", "flow", "polic", "template", "log", "load", "lora", "weights", "cache", "config", "reload")
    for method, path in routes_of(keyed, bearer(ADMIN)):
        if method != "GET":
            assert not any(word in path for word in words), path


def test_case_47_tenants_are_told_apart(mock_keyed):
    names = [mock_keyed.ask(get("/tenant", bearer(key))).body for key in (USER, OTHER, USER, ADMIN)]
    assert names[0] == names[2] and len(set(names)) == 3
    assert all(len(name) == 16 and USER.encode() not in name for name in names)


def label_sets(metrics):
    return {line.rsplit(" ", 1)[0] for line in metrics.decode().splitlines() if line and not line.startswith("#")}


def odd_requests(count):
    for i in range(count):
        yield get(f"/odd/{i}", f"x-request-id: odd-{i}", method=random.choice(["GET", "PUT", f"M{i}"]))


def test_case_48_odd_requests_add_no_label(server, unharmed):
    with unharmed():
        body = {"model": "m" * 100, "prompt": "a secret prompt", "user": "user-77", "max_tokens": 1}
        named = post("/v1/completions", body, "x-request-id: find-me")
        with Wire(server.address) as wire:
            for request in (*odd_requests(200), named, get("/metrics")):
                wire.ask(request)
        before = label_sets(server.ask(get("/metrics")).body)
        with Wire(server.address) as wire:
            for request in odd_requests(5000):
                wire.ask(request)
            wire.ask(named)
        metrics = server.ask(get("/metrics")).body
        assert label_sets(metrics) == before
        for secret in (b"odd", b"secret", b"user-77", b"find-me", b"mmmm"):
            assert secret not in metrics


@pytest.mark.slow
def test_case_48_a_hundred_thousand_odd_requests(mock_server):
    rows = mock_server.ask(get("/stats")).json()["rows"]
    before = mock_server.memory()
    with Wire(mock_server.address) as wire:
        for request in odd_requests(100_000):
            wire.ask(request)
    assert mock_server.ask(get("/stats")).json()["rows"] == rows
    assert mock_server.memory() - before < (1 << 20) * SLACK


def listening(pid):
    """Addresses (hexadecimal, as the kernel shows them) that the process listens on."""
    inodes = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = set()
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{table}") as file:
            for line in file.readlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and fields[9] in inodes:
                    found.add(fields[1].split(":")[0])
    return found


def test_case_52_only_loopback_listens_by_default(server):
    assert listening(server.pid) == {"0100007F"}


def test_case_52_all_addresses_without_a_key_is_warned_about():
    open_server = Server(
        [PROGRAM, "serve", MODEL, "--port", "0", "--host", "0.0.0.0"],
        lambda line: "listening" if "http://0.0.0.0:" in line else None,
    )
    try:
        assert eventually(lambda: open_server.address, limit=60)
        assert any("warn" in line and "key" in line for line in open_server.log), open_server.log
    finally:
        open_server.stop()


def test_case_52_keys_that_cannot_be_used_are_refused_at_the_start(tmp_path):
    path = tmp_path / "keys"
    path.write_text("\n")
    done = subprocess.run(
        [PROGRAM, "serve", MODEL, "--port", "0", "--api-key-file", str(path)],
        capture_output=True, text=True, timeout=60, env=environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 78
    assert "no key" in done.stderr and str(path) in done.stderr
