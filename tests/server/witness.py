"""Three clients that must not notice what happens to others, and one that asks for the server's health.

A program of its own, so that the attacker's work in Python does not slow the measurement. Reads a JSON object from
stdin: address, streams (requests, as text), health (a request). Runs until stdin ends and every stream has been
read at least once. Prints {"streams": [[text, ...], ...], "health_s": [...], "faults": [...]}.
"""

import json
import sys
import threading
import time

from wire import Wire, ask


def said(answer):
    """What a stream said: the tokens of a completion, or the plain body."""
    text = []
    for line in answer.body.decode().split("\n"):
        data = line.removeprefix("data: ")
        if not data.startswith("{"):
            text.append(data)
            continue
        event = json.loads(data)
        assert "error" not in event, event
        for choice in event["choices"]:
            text.append(choice["text"])
            text.append(f"<{choice['finish_reason']}>" if choice["finish_reason"] else "")
    return "".join(text)


def read_stream(address, request):
    with Wire(address, timeout=120) as wire:
        answer = wire.ask(request.encode())
    assert answer.status == 200 and answer.whole, answer
    return said(answer)


def main():
    order = json.loads(sys.stdin.readline())
    ended = threading.Event()
    faults, health = [], []
    streams = [[] for _ in order["streams"]]

    def follow(request, results):
        while not results or not ended.is_set():
            try:
                results.append(read_stream(order["address"], request))
            except (OSError, AssertionError, ValueError, KeyError) as fault:
                faults.append(repr(fault))
                return

    def probe():
        while not health or not ended.is_set():
            began = time.monotonic()
            try:
                status = ask(order["address"], order["health"].encode()).status
                if status != 200:
                    faults.append(f"/health answers {status}")
            except OSError as fault:
                faults.append(f"/health: {fault!r}")
            health.append(time.monotonic() - began)
            time.sleep(0.02)

    threads = [threading.Thread(target=follow, args=pair) for pair in zip(order["streams"], streams)]
    threads.append(threading.Thread(target=probe))
    for thread in threads:
        thread.start()
    print("started", flush=True)
    sys.stdin.read()
    ended.set()
    for thread in threads:
        thread.join()
    json.dump({"streams": streams, "health_s": health, "faults": faults}, sys.stdout)


if __name__ == "__main__":
    main()
