"""examples/server_launch.sh: a server with sparse attention in one line."""

import re
import subprocess

import pytest
from api import complete
from program import MODEL, PROGRAM, ROOT, Outcome, assert_refused, environment
from serving import Server

EXAMPLE = str(ROOT / "examples/server_launch.sh")


@pytest.mark.parametrize("ranks", ["1", "2"])
def test_the_example_serves_with_sparse_attention(ranks):
    def read_address(line):
        found = re.search(r"http://\S+", line)
        return found and found[0]

    served = Server([EXAMPLE, MODEL, ranks], read_address, VORTEX_PORT="0", VORTEX_BIN=PROGRAM).wait_until_ready()
    try:
        answer = complete(served, list(range(100, 900)), max_tokens=4, ignore_eos=True, vortex={"report": True})
        assert answer["vortex"]["flow"] == "gqa_quest_sparse_attention"
        assert 0 < answer["vortex"]["pages_read"] < answer["vortex"]["pages_held"]
        assert answer["vortex"]["layers_sparse"] == [1, 2, 3, 4, 5]
    finally:
        assert served.stop() == 0


def test_the_example_refuses_ranks_that_heads_do_not_divide_among():
    variables = environment(VORTEX_BIN=PROGRAM)
    done = subprocess.run(
        [EXAMPLE, MODEL, "3"], capture_output=True, text=True, timeout=60, check=False, env=variables
    )
    assert_refused(Outcome(done.returncode, done.stdout, done.stderr), 1, "--tensor-parallel-size")
