"""examples/run_ruler.sh and run_ruler_mla.sh, on a few questions."""

import gzip
import json
import re
import subprocess

import pytest
from program import PROGRAM, RECALL_4096, ROOT, environment

ACCURACY = re.compile(r"== (\w+)\n.*?([01]\.\d+)", re.DOTALL)


def run_example(name, *arguments, **variables):
    return subprocess.run(
        [ROOT / "examples" / name, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment(VORTEX_BIN=PROGRAM, VORTEX_KV_CACHE_MEMORY_BYTES="256Mi", **variables),
        check=False,
    )


@pytest.mark.parametrize(
    ("script", "flows"),
    [("run_ruler.sh", "dense sketch2_sparse_attention"), ("run_ruler_mla.sh", "dense sketch1_mla")],
)
def test_the_shipped_questions(script, flows):
    done = run_example(script, LIMIT="2", FLOWS=flows)
    assert done.returncode == 0, done.stderr
    accuracy = {flow: float(share) for flow, share in ACCURACY.findall(done.stdout)}
    assert list(accuracy) == flows.split()
    assert all(share == 1 for share in accuracy.values()), done.stdout


def test_a_file_of_ruler(tmp_path):
    row = json.loads(gzip.open(RECALL_4096, "rt").readline())
    data = tmp_path / "validation.jsonl"
    data.write_text(json.dumps({"input": row["messages"][0]["content"], "outputs": ["no answer says this"]}) + "\n")
    done = run_example("run_ruler.sh", data, FLOWS="dense")
    assert done.returncode == 0, done.stderr
    assert ACCURACY.findall(done.stdout) == [("dense", "0.000")]


def test_more_than_one_file_is_refused():
    done = run_example("run_ruler.sh", "a", "b")
    assert done.returncode == 2 and "usage: " in done.stderr
