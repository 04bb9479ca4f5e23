"""The clients that bring an environment of their own; the first run of each fetches it."""

import subprocess

import pytest
from program import PROGRAM, ROOT, environment


@pytest.mark.slow
@pytest.mark.parametrize("client", [["schemathesis", "--seconds", "45"], ["lm-eval"]], ids=lambda client: client[0])
def test_a_client_unmodified(client):
    done = subprocess.run(
        [ROOT / "tests/clients/run", *client],
        capture_output=True,
        text=True,
        timeout=1800,
        env=environment(VORTEX_BIN=PROGRAM),
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
