"""The clients that bring an environment of their own; the first run of each fetches it."""

import subprocess

import pytest
from program import PROGRAM, ROOT, environment


def run_client(*arguments):
    done = subprocess.run(
        [ROOT / "tests/clients/run", *arguments],
        capture_output=True,
        text=True,
        timeout=1800,
        env=environment(VORTEX_BIN=PROGRAM),
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_case_28_schemathesis():
    run_client("schemathesis", "--seconds", "45")


@pytest.mark.slow
def test_lm_eval():
    run_client("lm-eval")
