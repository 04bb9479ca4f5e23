"""Runs the vortex program and looks at what it wrote."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = str(ROOT / "models/recall-gqa")
RECALL_4096 = str(ROOT / "models/recall-gqa/eval/recall-4096.jsonl.gz")
BUILD = Path(os.environ.get("VORTEX_BUILD_DIR", ROOT / "build/release"))
PROGRAM = os.environ.get("VORTEX_BIN") or str(BUILD / "bin/vortex")


@dataclass
class Outcome:
    status: int
    out: str
    err: str

    def json(self):
        return json.loads(self.out)


def environment(**changes):
    """The caller's, without settings of its own."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("VORTEX_")}
    return kept | changes


def vortex(*arguments, stdin="", timeout=120, **variables):
    done = subprocess.run(
        [PROGRAM, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment(**variables),
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def vortex_json(*arguments, **keywords):
    """The object on stdout of a command that succeeds, and nothing beside it."""
    outcome = vortex(*arguments, "--json", **keywords)
    assert outcome.status == 0, outcome.err
    return outcome.json()


def assert_refused(outcome, status, *parts):
    """The manners of an error: its status, one line on stderr that says `parts`, nothing on stdout."""
    assert outcome.status == status, outcome
    assert outcome.out == ""
    assert outcome.err.startswith("vortex: ") and outcome.err.count("\n") == 1, outcome.err
    for part in parts:
        assert str(part) in outcome.err
