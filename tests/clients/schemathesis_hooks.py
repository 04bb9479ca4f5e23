"""Loaded by schemathesis: a check of our own."""

import schemathesis

KEYS = {"message", "type", "param", "code"}


@schemathesis.check
def error_body_of_openai(ctx, response, case):
    """Status 400 and above has a body {"error": {message, type, param, code}} and a request id."""
    if response.status_code < 400:
        return
    error = response.json().get("error")
    assert isinstance(error, dict) and set(error) >= KEYS, f"error body {response.text[:300]}"
    assert error["message"] and error["type"], f"error body {response.text[:300]}"
    assert error["code"] is None or isinstance(error["code"], str), f"code {error['code']!r}"
    assert error["param"] is None or isinstance(error["param"], str), f"param {error['param']!r}"
    assert "x-request-id" in {name.lower() for name in response.headers}, "no x-request-id"
