"""Texts that are long, odd or private (reliability cases 27, 29, 30, 51)."""

import json
import time

import pytest
from api import CHAT, HI, TEXT, ask, chat, complete, ok, refused
from serving import SLACK, eventually, start_vortex
from wire import Wire, assert_error, get, post

MB = 1 << 20
HOSTILE = {
    "letters": "a" * 4 * MB,
    "spaces": " " * 4 * MB,
    "lines": "\n " * 2 * MB,
    "marks": "\u0301" * 2 * MB,
    "CJK": "\u6f22" * (4 * MB // 3),
    "special tokens": "<|im_start|>" * 300_000,
}


def test_case_27_header_values_are_cleaned(server):
    for bad in ("a b", "x" * 65, "a\tb", '"quoted"', "\u00e9", "a;b"):
        answer = server.ask(post(TEXT, {"prompt": "a", "max_tokens": 1}, f"X-Request-Id: {bad}"))
        assert answer.status in (200, 400)
        assert answer.headers["x-request-id"] != bad and len(answer.headers["x-request-id"]) <= 64
    good = server.ask(post(TEXT, {"prompt": "a", "max_tokens": 1}, "X-Request-Id: my-id.1_Z"))
    assert good.headers["x-request-id"] == "my-id.1_Z" and good.json()["id"] == "cmpl-my-id.1_Z"


def test_case_27_fields_about_the_user_go_nowhere(server):
    secret = 'user\r\nlevel=error forged" secret-user-7'
    before = len(server.log)
    chat(server, user=secret, metadata={"k\r\n": secret}, max_tokens=1)
    for field in ("user", "safety_identifier", "prompt_cache_key"):
        refused(server, CHAT, {"messages": HI, field: "x" * MB}, field)
        refused(server, CHAT, {"messages": HI, field: 7}, field)
    refused(server, CHAT, {"messages": HI, "metadata": {str(i): "" for i in range(1000)}}, "metadata")
    assert eventually(lambda: len(server.log) > before)
    assert not any("secret-user-7" in line or line.startswith("level=error") for line in server.log)
    assert b"secret-user-7" not in server.ask(get("/metrics")).body


@pytest.mark.parametrize("name", HOSTILE)
def test_case_29_four_megabytes(unharmed, name):
    text = HOSTILE[name]
    with unharmed():
        for path, body in ((TEXT, {"prompt": text}), (CHAT, {"messages": [{"role": "user", "content": text}]})):
            body = json.dumps(body, ensure_ascii=False).encode()
            start = time.monotonic()
            error = assert_error(ask(unharmed.server, path, body), 400, "context_length_exceeded")
            assert time.monotonic() - start < 2 * SLACK
            assert error["param"] == ("prompt" if path == TEXT else "messages")


def test_case_30_tokenising_holds_up_nobody(server):
    """Long texts that just fit, tokenised over and over, while a stream counts its gaps."""

    def slowest_gaps():
        gaps, last = [], None
        with Wire(server.address) as wire:
            body = {"prompt": "Once", "max_tokens": 150, "ignore_eos": True, "stream": True}
            wire.send(post(TEXT, body)).head()
            for chunk in wire.chunks():
                now = time.monotonic()
                if chunk and last:
                    gaps.append(now - last)
                last = now
        return sorted(gaps)[int(len(gaps) * 0.9)]

    calm = slowest_gaps()
    text = json.dumps({"prompt": "winter secrets " * 8000}).encode()
    with Wire(server.address) as other:
        for _ in range(20):
            other.send(post("/tokenize", text))
        busy = slowest_gaps()
        for _ in range(20):
            assert other.answer().status == 200
    # Two cores are shared by the test, the workers and the engine: far from what blocking the engine would cost.
    assert busy < max(10 * calm, 0.1 * SLACK)


def test_case_51_prompts_are_not_logged_unless_asked_for():
    quiet, talking = start_vortex(), start_vortex("--log-requests")
    try:
        for served in (quiet, talking):
            complete(served, "secret-prompt-1 " + "x" * 2000 + "tail-of-prompt", max_tokens=2)
            chat(served, messages=[{"role": "user", "content": "secret-prompt-2"}])
            assert_error(ask(served, TEXT, {"prompt": "secret-prompt-3", "n": 0}), 400)
            assert eventually(lambda served=served: sum(" POST " in line for line in served.log) >= 3)
        assert not any("secret-prompt" in line for line in quiet.log)
        said = [line for line in talking.log if "secret-prompt" in line]
        assert len(said) == 3 and not any("tail-of-prompt" in line for line in said)
        assert all(len(line) < 1000 for line in said)
    finally:
        quiet.stop()
        talking.stop()


def test_log_lines_are_objects_with_the_requests_id():
    served = start_vortex("--log-format", "json")
    try:
        ok(served.ask(post(TEXT, {"prompt": "a", "max_tokens": 1}, "X-Request-Id: the-id-1")))
        found = lambda: [json.loads(line) for line in served.log if "the-id-1" in line]
        assert eventually(found)
        (line,) = found()
        assert line["request_id"] == "the-id-1" and line["level"] == "info" and line["ts"].endswith("Z")
        assert "POST /v1/completions 200" in line["msg"]
        served.ask(get("/health"))
        served.ask(get("/metrics"))
        assert not any("/health" in line or "/metrics" in line for line in served.log)
    finally:
        served.stop()
