"""The queue as clients meet it: caps, deadlines, cancelled requests (reliability cases 53 to 56, faults 1 and 2)."""

import time

import pytest
from api import CHAT, HI, TEXT, ask, at_once, complete, metric, ok
from serving import SLACK, eventually
from wire import Wire, assert_error, get, post

LONG = {"prompt": "Once upon a time", "max_tokens": 4000, "ignore_eos": True, "temperature": 0}


def running(server):
    return metric(server, "vllm:num_requests_running"), metric(server, "vllm:num_requests_waiting")


def is_empty(server):
    return running(server) == (0, 0) and metric(server, "vllm:kv_cache_usage_perc") == 0


@pytest.mark.parametrize("streams", [False, True])
def test_case_53_a_burst_of_a_thousand(vortexes, streams):
    server = vortexes("--max-num-seqs", 4, "--max-num-queued-reqs", 6)
    body = LONG | {"max_tokens": 200, "stream": streams}
    request = post(TEXT, body)
    holders = [Wire(server.address, timeout=120).send(request) for _ in range(10)]
    assert eventually(lambda: sum(running(server)) == 10)
    times = []
    for _ in range(990):
        with Wire(server.address) as wire:
            start = time.monotonic()
            answer = wire.ask(request)
            times.append(time.monotonic() - start)
        if answer.status == 200:
            break
        assert_error(answer, 503, "overloaded", "unavailable_error")
    assert len(times) >= 50
    assert sorted(times)[int(len(times) * 0.95)] < 0.05 * SLACK
    assert [wire.answer().status for wire in holders] == [200] * 10
    assert metric(server, "vllm:admission_rejections_total", reason="overloaded") >= len(times) - 1


def test_case_53_all_at_once_exactly_the_cap_is_vortexes(vortexes):
    server = vortexes("--max-num-seqs", 4, "--max-num-queued-reqs", 6)
    request = post(TEXT, LONG | {"max_tokens": 600})
    wires = [Wire(server.address, timeout=120) for _ in range(200)]
    for wire in wires:
        wire.send(request)
    statuses = sorted(wire.answer().status for wire in wires)
    assert statuses == [200] * 10 + [503] * 190


def test_case_19_n_counts_as_n(vortexes):
    server = vortexes("--max-num-seqs", 2, "--max-num-queued-reqs", 4)
    assert len(ok(ask(server, TEXT, LONG | {"n": 6, "max_tokens": 2}))["choices"]) == 6
    with Wire(server.address) as holder:
        holder.send(post(TEXT, LONG | {"n": 3, "stream": True})).head()
        assert_error(ask(server, TEXT, LONG | {"n": 4, "max_tokens": 1}), 503, "overloaded")
        assert len(ok(ask(server, TEXT, LONG | {"n": 3, "max_tokens": 1, "priority": -1}))["choices"]) == 3
    assert eventually(lambda: is_empty(server))


def test_case_53_tokens_that_wait_have_a_cap(vortexes):
    server = vortexes("--max-num-seqs", 1, "--max-num-queued-tokens", 1000)
    with Wire(server.address) as holder:
        holder.send(post(TEXT, LONG | {"stream": True})).head()
        with Wire(server.address) as waiting:
            waiting.send(post(TEXT, {"prompt": [5] * 900, "max_tokens": 1}))
            assert eventually(lambda: running(server)[1] == 1)
            assert_error(ask(server, TEXT, {"prompt": [5] * 200, "max_tokens": 1}), 503, "overloaded")


@pytest.mark.parametrize("streams", [False, True])
def test_case_54_waiting_has_an_end(vortexes, streams):
    server = vortexes("--max-num-seqs", 1, "--queue-timeout", 0.5)
    with Wire(server.address) as holder:
        holder.send(post(TEXT, LONG | {"max_tokens": 30000, "stream": True})).read_until(b"data: ")
        computed = eventually(lambda: metric(server, "vllm:prompt_tokens_total"))
        start = time.monotonic()
        answer = ask(server, TEXT, {"prompt": "late", "stream": streams})
        assert_error(answer, 503, "overloaded")
        assert 0.4 < time.monotonic() - start < 5 * SLACK
        assert metric(server, "vllm:prompt_tokens_total") == computed


def test_case_55_cancelling_one_that_waits_harms_nobody(vortexes):
    server = vortexes("--max-num-seqs", 1)
    aborted = metric(server, "vllm:request_success_total", finished_reason="abort")
    with Wire(server.address, timeout=120) as first, Wire(server.address, timeout=120) as last:
        first.send(post(TEXT, LONG | {"max_tokens": 1500}))
        assert eventually(lambda: running(server)[0] == 1)
        leaver = Wire(server.address).send(post(TEXT, LONG))
        last.send(post(TEXT, LONG | {"max_tokens": 3}))
        assert eventually(lambda: running(server)[1] == 2)
        leaver.reset()
        assert eventually(lambda: running(server) == (1, 1))
        assert first.answer().json()["usage"]["completion_tokens"] == 1500
        assert last.answer().json()["usage"]["completion_tokens"] == 3
    assert metric(server, "vllm:request_success_total", finished_reason="abort") == aborted + 1


@pytest.mark.parametrize("leave", ["reset", "finish_sending"])
def test_case_55_cancelling_one_that_runs_gives_its_pages_back(unharmed, leave):
    server = unharmed.server
    with unharmed():
        for tokens_read in (0, 1, 5):
            wire = Wire(server.address).send(post(TEXT, LONG | {"stream": True}))
            wire.head()
            for _ in range(tokens_read):
                wire.read_until(b"\n\n")
            getattr(wire, leave)()
            wire.socket.close()
    assert eventually(lambda: is_empty(server))


def test_case_55_leaving_at_the_last_token_ends_it_once(server):
    def ended():
        return sum(metric(server, "vllm:request_success_total", finished_reason=r) for r in ("length", "abort", "stop"))

    before = ended()
    for tokens in range(1, 30):
        wire = Wire(server.address).send(post(TEXT, LONG | {"max_tokens": tokens, "stream": True}))
        wire.head()
        wire.read_until(b"\n\n")
        wire.reset()
    assert eventually(lambda: ended() == before + 29)
    assert eventually(lambda: is_empty(server))


def test_fault_02_leaving_while_a_grammar_compiles(unharmed):
    server = unharmed.server
    properties = {f"key_{i}": {"type": "string", "pattern": f"^[a-z]{{1,{i + 1}}}$"} for i in range(60)}
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    with unharmed():
        for _ in range(10):
            wire = Wire(server.address).send(post(TEXT, LONG | {"structured_outputs": {"json": schema}}))
            wire.reset()
    assert eventually(lambda: is_empty(server), limit=30)


def test_case_56_four_answers_one_stopped_early(server):
    whole = complete(server, "Once", n=4, temperature=1, seed=3, max_tokens=40, ignore_eos=True)
    texts = [choice["text"] for choice in whole["choices"]]
    stop = texts[0][10:16]
    cut = complete(server, "Once", n=4, temperature=1, seed=3, max_tokens=40, ignore_eos=True, stop=stop)
    assert cut["choices"][0]["finish_reason"] == "stop"
    for before, after in zip(texts, cut["choices"]):
        assert after["text"] == before.split(stop)[0]
    assert 40 < cut["usage"]["completion_tokens"] < whole["usage"]["completion_tokens"] == 160


def test_case_56_the_client_leaves_four_answers(server):
    wire = Wire(server.address).send(post(TEXT, LONG | {"n": 4, "stream": True}))
    wire.head()
    for _ in range(3):
        wire.read_until(b"\n\n")
    wire.reset()
    assert eventually(lambda: is_empty(server))


def test_many_clients_get_what_they_get_alone(server):
    prompts = [f"Story number {i}: once" for i in range(12)]
    alone = [complete(server, prompt, max_tokens=10)["choices"][0]["text"] for prompt in prompts]
    assert at_once(lambda prompt: complete(server, prompt, max_tokens=10)["choices"][0]["text"], prompts) == alone


def test_case_60_counters_equal_what_clients_counted(server):
    def counts():
        return (
            metric(server, "vllm:request_success_total", finished_reason="length"),
            metric(server, "vllm:generation_tokens_total"),
            metric(server, "http_requests_total", handler=CHAT, status="2xx"),
        )

    assert eventually(lambda: is_empty(server))
    before = counts()
    tokens = 0
    for i in range(1, 21):
        body = {"messages": HI, "max_tokens": i, "ignore_eos": True}
        tokens += ok(ask(server, CHAT, body))["usage"]["completion_tokens"]
    assert tokens == sum(range(1, 21))
    expected = (before[0] + 20, before[1] + tokens, before[2] + 20)
    # The engine publishes a step's figures when it is over: a moment after its last answer.
    assert eventually(lambda: counts() == expected), (counts(), expected)
    assert eventually(lambda: counts() != expected, limit=0.3) is False


def test_metrics_are_text_that_prometheus_reads(server):
    answer = server.ask(get("/metrics"))
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {}
    for line in answer.body.decode().splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split(" ")[2:]
            assert name not in families
            families[name] = kind
        elif not line.startswith("#"):
            name = line.split("{")[0].split(" ")[0]
            assert name in families or name.rsplit("_", 1)[0] in families, line
            assert float(line.rsplit(" ", 1)[1]) >= 0
    for name, kind in (
        ("vllm:time_to_first_token_seconds", "histogram"),
        ("vllm:kv_cache_usage_perc", "gauge"),
        ("vllm:generation_tokens_total", "counter"),
        ("vortex:sparse_pages_read_total", "counter"),
    ):
        assert families[name] == kind
