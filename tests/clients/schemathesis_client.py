"""schemathesis on our /openapi.json: no 5xx, every answer as described, every error body in the OpenAI shape."""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from model_images import tiny_model
from program import ROOT
from serving import start_vortex
from wire import get

CHECKS = "not_a_server_error,content_type_conformance,response_schema_conformance,error_body_of_openai"
FOLDER = ROOT / "build/clients"


def run(server, phase, seconds, options):
    """(how many cases, exit status) of one phase; its report is a file."""
    command = [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run", server.address + "/openapi.json"]
    command += ["--phases", phase, "--max-time", str(seconds), "--checks", CHECKS, "--continue-on-failure"]
    command += ["--seed", str(options.seed), "--workers", str(options.workers), "--request-timeout", "60"]
    hooks = {"SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(ROOT / "tests/clients"), "NO_COLOR": "1"}
    log = FOLDER / f"schemathesis-{phase}.log"
    with open(log, "w", encoding="utf-8") as out:
        done = subprocess.run(command, cwd=FOLDER, env=os.environ | hooks, stdout=out, stderr=out, check=False)
    found = re.search(r"^\s+(\d+) generated.*$", log.read_text(encoding="utf-8"), re.MULTILINE)
    print(f"schemathesis: {phase}: {found[0].strip() if found else 'no case'}; {log}")
    return int(found[1]) if found else 0, done.returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="how long (600 for the record)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        model = tiny_model(Path(folder) / "model")
        (model / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
        server = start_vortex("--max-model-len", "256", "--max-num-seqs", "8", model=model)
        start = time.monotonic()
        try:
            runs = [run(server, "coverage", options.seconds // 2, options)]
            left = options.seconds - (time.monotonic() - start)  # the corner cases may be done sooner
            runs.append(run(server, "fuzzing", max(int(left), 5), options))
            alive = server.alive and server.ask(get("/health")).status == 200
        finally:
            status = server.stop()
    count = sum(cases for cases, _ in runs)
    took = time.monotonic() - start
    print(f"schemathesis: {count} cases in {took:.0f} s, server alive: {alive}, its status {status}")
    return 0 if alive and status == 0 and count > 0 and not any(failed for _, failed in runs) else 1


if __name__ == "__main__":
    sys.exit(main())
