"""Ranks that mpirun starts say what one rank says, through shared memory and through MPI alone."""

import json
import shutil
import subprocess

import pytest
from program import MODEL, PROGRAM, environment

MPIRUN = shutil.which("mpirun")
pytestmark = pytest.mark.skipif(MPIRUN is None, reason="mpirun is not installed")

PROMPT = "The code of b7 is 99. " * 30 + "What is the code of b7?"
FLAGS = ("--device", "cpu", "--dtype", "float32", "--max-tokens", "12", "--temperature", "0", "--json")
SPARSE = (
    "--flow",
    "block_sparse_attention",
    "--vortex-config",
    '{"topk_val": 6, "topk_ratio": 0.0, "dtype": "float32"}',
)


def run(*launcher, flags=(), **variables):
    return subprocess.run(
        [*launcher, PROGRAM, "run", MODEL, PROMPT, *FLAGS, *flags],
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )


def mpirun(ranks):
    return (MPIRUN, "--allow-run-as-root", "--oversubscribe", "-n", str(ranks))


@pytest.mark.parametrize("transport", ["shared memory", "MPI"])
@pytest.mark.parametrize("flags", [(), SPARSE], ids=["dense", "sparse"])
def test_two_ranks_of_mpirun_say_what_one_says(flags, transport):
    alone = run(flags=flags)
    together = run(*mpirun(2), flags=flags, **({"VORTEX_COMM": "mpi"} if transport == "MPI" else {}))
    assert together.returncode == 0, together.stderr
    assert f"through {transport}" in together.stderr
    one, two = json.loads(alone.stdout), json.loads(together.stdout)
    assert two["text"] == one["text"]
    assert two["sparsity"] == one["sparsity"]


def test_a_size_that_is_not_mpiruns_is_refused():
    refused = run(*mpirun(2), flags=("-tp", "3"))
    assert refused.returncode != 0
    assert "--tensor-parallel-size" in refused.stderr
