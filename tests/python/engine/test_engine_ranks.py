"""tensor_parallel_size: the other ranks are processes of the interpreter's own, and say what one rank says."""

import os
import signal
import time
from pathlib import Path

import pytest

import vortex

PROMPT = "The code of b7 is 99. " * 40 + "What is the code of b7?"
# The second saves values for each sequence.
FLOWS = ["block_sparse_attention", "running_avg_block_sparse"]


def answers(**keywords):
    with vortex.Engine(model_path="recall-gqa", device="cpu", dtype="float32", **keywords) as engine:
        return engine.generate([PROMPT, "Hello"], {"max_new_tokens": 16, "temperature": 0, "ignore_eos": True})


def ranks():
    found = []
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            found += [int(pid)] if b"vortex.rank" in b" ".join(command) else []
    return found


@pytest.mark.parametrize("flow", [None, *FLOWS])
def test_two_ranks_say_what_one_says(flow):
    budget = {"topk_val": 6, "topk_ratio": 0.0, "vortex_dtype": "float32"}
    sparsity = {"vortex": {"module_name": flow} | budget} if flow else {}
    one, two = answers(**sparsity), answers(tensor_parallel_size=2, **sparsity)
    assert [answer["text"] for answer in two] == [answer["text"] for answer in one]
    pages = [[answer["meta_info"]["vortex"]["pages_read"] for answer in each] for each in (one, two)]
    assert pages[0] == pages[1]
    assert ranks() == []


def test_an_impossible_number_of_ranks_is_refused():
    with pytest.raises(vortex.VortexError, match="tensor_parallel_size: 3 ranks, but 2 kv heads"):
        vortex.Engine(model_path="recall-gqa", device="cpu", tensor_parallel_size=3)


def test_a_rank_that_dies_ends_the_engine():
    with vortex.Engine(model_path="recall-gqa", device="cpu", tensor_parallel_size=2) as engine:
        (rank,) = ranks()
        os.kill(rank, signal.SIGKILL)
        deadline = time.monotonic() + 5
        with pytest.raises(vortex.VortexError, match="rank 1: was killed by signal 9"):
            while time.monotonic() < deadline:
                engine.generate("Hello", {"max_new_tokens": 2})
