"""The OpenAI API from the client's side, over the plain wire."""

import json
from concurrent.futures import ThreadPoolExecutor

from wire import Wire, assert_error, get, post

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
HI = [{"role": "user", "content": "Hi there"}]


def ask(server, path, body, *headers):
    """`body` as JSON, or as it is when it is bytes."""
    return server.ask(post(path, body, *headers))


def chat(server, **fields):
    return ok(ask(server, CHAT, {"messages": HI, "max_tokens": 8} | fields))


def complete(server, prompt, **fields):
    return ok(ask(server, TEXT, {"prompt": prompt, "max_tokens": 8} | fields))


def ok(answer):
    assert answer.status == 200, answer
    return answer.json()


def stream(server, path, body):
    """The events of a stream that ends well, without [DONE]."""
    with Wire(server.address) as wire:
        answer = wire.ask(post(path, body | {"stream": True}))
    assert answer.status == 200 and answer.whole, answer
    assert answer.headers["content-type"] == "text/event-stream"
    events = answer.body.decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""], events[-2:]
    assert all(event.startswith("data: ") for event in events[:-2])
    return [json.loads(event.removeprefix("data: ")) for event in events[:-2]]


def at_once(call, items):
    """What `call` gives for each item, all of them on threads of their own."""
    with ThreadPoolExecutor(len(items)) as threads:
        return list(threads.map(call, items))


def refused(server, path, body, param, code=None, status=400):
    """The error of a request that is refused for `param`."""
    error = assert_error(ask(server, path, body), status, code)
    assert error["param"] == param, error
    return error


def metric(server, name, **labels):
    """The value of one sample of /metrics; 0 when there is none."""
    for line in server.ask(get("/metrics")).body.decode().splitlines():
        head, _, value = line.rpartition(" ")
        if head.partition("{")[0] == name and all(f'{key}="{text}"' in head for key, text in labels.items()):
            return float(value)
    return 0.0
