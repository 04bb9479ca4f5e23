"""An engine among threads, signals, forks and its own end."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from program import MODEL, environment

import vortex
from vortex.errors import CancelledError, InvalidArgumentError

PACKAGE = str(Path(vortex.__file__).parents[1])
SMALL = {"max_running_requests": 2, "context_length": 4096, "log_level": "error", "offline": True}
LONG = {"max_new_tokens": 4000, "ignore_eos": True}


def child(code, *arguments, **options):
    """A Python program of its own, with `llm` in it."""
    start = f"import sys, vortex\nllm = vortex.Engine({MODEL!r}, **{SMALL!r})\n"
    return subprocess.Popen(
        [sys.executable, "-c", start + code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(PYTHONPATH=PACKAGE),
        **options,
    )


@pytest.mark.parametrize("call", ["llm.generate('One day', LONG)", "list(llm.generate('One day', LONG, stream=True))"])
def test_ctrl_c_ends_a_long_answer_at_once_and_the_engine_lives_on(call):
    code = f"""
LONG = {LONG!r}
print("ready", flush=True)
try:
    {call}
except KeyboardInterrupt:
    print("interrupted", flush=True)
print(llm.generate("One day", {{"max_new_tokens": 3}})["meta_info"]["completion_tokens"], flush=True)
"""
    process = child(code)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    assert process.stdout.readline() == "interrupted\n"
    assert time.monotonic() - sent < 1
    out, err = process.communicate(timeout=20)
    assert (out, err, process.returncode) == ("3\n", "", 0)


def test_threads_get_their_own_answers(dense):
    prompts = [f"Prompt number {i} is" for i in range(16)]
    params = {"max_new_tokens": 10, "ignore_eos": True}
    expected = [dense.generate(prompt, params)["output_ids"] for prompt in prompts]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda prompt: dense.generate(prompt, params)["output_ids"], prompts))
    assert results == expected


def test_other_threads_run_while_one_waits(dense):
    waiting = threading.Thread(target=dense.generate, args=("One day", {"max_new_tokens": 400, "ignore_eos": True}))
    waiting.start()
    turns = 0
    while waiting.is_alive():
        time.sleep(0.001)
        turns += 1
    assert turns > 20


def test_what_waits_hears_of_the_end_and_later_calls_are_told():
    engine = vortex.Engine(MODEL, **SMALL)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(engine.generate, "One day", LONG)
        while not engine.stats()["running"]:
            time.sleep(0.01)
        engine.shutdown()
        with pytest.raises(CancelledError):
            waiting.result(timeout=10)
    engine.shutdown()
    for call in (lambda: engine.generate("a"), lambda: engine.encode("a"), engine.stats):
        with pytest.raises(InvalidArgumentError, match="shut down"):
            call()
    assert engine.info.layers == 6 and "shut down" in repr(engine)


def test_it_goes_when_nobody_holds_it():
    engine = vortex.Engine(MODEL, **SMALL)
    seen = weakref.ref(engine)
    threads = len(os.listdir("/proc/self/task"))
    del engine
    gc.collect()
    assert seen() is None
    assert len(os.listdir("/proc/self/task")) < threads


def test_a_program_may_end_while_an_answer_is_made():
    process = child(f"stream = llm.generate('One day', {LONG!r}, stream=True); next(stream); print('bye')")
    out, err = process.communicate(timeout=20)
    assert (out, err, process.returncode) == ("bye\n", "", 0)


def test_a_child_of_fork_is_told_and_ends_in_peace():
    process = child("""
import os
from vortex.errors import UnsupportedError
stream = llm.generate("One day", {"max_new_tokens": 2000, "ignore_eos": True}, stream=True)
next(stream)
pid = os.fork()
if pid == 0:
    del stream
    try:
        llm.generate("One day")
    except UnsupportedError as error:
        print(error, flush=True)
    del llm
    sys.exit(7)
del stream
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(status, llm.generate("One day", {"max_new_tokens": 2})["meta_info"]["completion_tokens"])
""")
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    told, after = out.splitlines()
    assert "belongs to the process that forked" in told
    assert after == "7 2"


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_memory_does_not_grow(dense):
    def ask(times):
        for _ in range(times):
            dense.generate("The same words", {"max_new_tokens": 4}, return_logprob=True, top_logprobs_num=5)
            list(dense.generate("The same words", {"max_new_tokens": 4}, stream=True))

    ask(30)
    gc.collect()
    before = resident_bytes()
    ask(200)
    gc.collect()
    assert resident_bytes() - before < 2 << 20
