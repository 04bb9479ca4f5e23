"""Ranks on GPUs, which are emulated: they say what one says, wherever they meet, and end together."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from program import BUILD, MODEL, PROGRAM, ROOT, environment
from serving import SLACK
from test_rank_failures import runs

LIBRARY = BUILD / "tests/emulator/libvortex_cuda_emulated.so"
NCCL = BUILD / "tests/emulator/libemulated_nccl_double.so"
pytestmark = pytest.mark.skipif(not LIBRARY.exists(), reason="built without CUDA's compiler")

FLAGS = ("--device", "cuda", "--max-model-len", "4096", "--max-num-seqs", "2", "--max-num-batched-tokens", "64")
FACT = "The code of b7 is 99. "
QUESTION = "What is the code of b7?"
BUDGET = json.dumps({"topk_val": 4, "topk_ratio": 0.0})
CASES = {
    "dense": (MODEL, FACT + QUESTION),
    "sparse": (MODEL, FACT * 12 + QUESTION, "--flow", "block_sparse_attention", "--vortex-config", BUDGET),
    "latents": (str(ROOT / "models/recall-mla"), FACT + QUESTION),
    "sparse latents": (
        str(ROOT / "models/recall-mla"),
        FACT * 12 + QUESTION,
        *("--flow", "quest_mla", "--vortex-config", BUDGET),
    ),
}


def gpus(count, **variables):
    return environment(
        VORTEX_CUDA_LIBRARY=str(LIBRARY), VORTEX_NCCL_LIBRARY=str(NCCL), VORTEX_EMULATOR_GPUS=str(count), **variables
    )


def ask(env, ranks, case="dense"):
    return subprocess.run(
        [PROGRAM, "run", *CASES[case], "--temperature", "0", "--max-tokens", "6", "--json", *FLAGS, "-tp", str(ranks)],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def answer(env, ranks, case):
    done = ask(env, ranks, case)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", [*list(CASES)[:-1], pytest.param("sparse latents", marks=pytest.mark.slow)])
def test_two_ranks_say_what_one_says(case):
    one = answer(gpus(1), 1, case)
    for env in (gpus(1, VORTEX_CUDA_RANKS="host"), gpus(2)):
        two = answer(env, 2, case)
        assert two["text"] == one["text"]
        assert two.get("sparsity") == one.get("sparsity")


def refusal(env):
    done = ask(env, 2)
    assert done.returncode == 1
    return done.stderr


def test_fewer_gpus_than_ranks_are_refused():
    said = refusal(gpus(1))
    assert "2 ranks on this host, but 1 GPU is visible" in said
    assert "VORTEX_CUDA_RANKS=host" in said


def test_a_missing_nccl_is_named():
    said = refusal(gpus(2) | {"VORTEX_NCCL_LIBRARY": "/nowhere/libnccl.so.2"})
    assert "/nowhere/libnccl.so.2" in said
    assert "nvidia-nccl-cu13" in said


def children(pid):
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_a_rank_that_is_gone_ends_the_other(end):
    with subprocess.Popen(
        [PROGRAM, "run", *CASES["dense"], "--max-tokens", "3000", "--ignore-eos", *FLAGS, "-tp", "2"],
        env=gpus(2),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout.read(1)  # the answer has begun
        (rank,) = children(process.pid)
        os.kill(rank, end)
        begun = time.monotonic()
        said = process.communicate(timeout=60)[1].decode()
        assert time.monotonic() - begun < 5 * SLACK
    assert process.returncode == 1
    assert "rank 1: " in said
    assert not runs(rank)
