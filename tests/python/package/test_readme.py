"""The README's Python: run as it stands."""

import json
import re
import subprocess
import sys

from program import BUILD, ROOT, environment, vortex

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def run(text, cwd):
    return subprocess.run(
        [sys.executable, "-c", text],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment(PYTHONPATH=str(BUILD / "python")),
    )


def test_the_engine_example(tmp_path):
    done = run(BLOCKS[0], tmp_path)
    assert done.returncode == 0, done.stderr
    text, fraction, pages = done.stdout.splitlines()
    expected = re.search(r"print\(answer\[\"text\"\]\)  # (.*)", BLOCKS[0])[1]
    assert text.strip() == expected
    assert 0 < float(fraction) < 0.5
    assert re.fullmatch(r"\[[ \d]+\]", pages)


def test_the_flow_example(tmp_path):
    (tmp_path / "my_flow.py").write_text(BLOCKS[1])
    checked = vortex("flow", "check", tmp_path / "my_flow.py", "--json", VORTEX_CACHE_DIR=str(tmp_path / "cache"))
    assert checked.status == 0, checked.err
    assert [f["where"] for f in json.loads(checked.out)["findings"] if f["message"].startswith("compiles")] == [
        "my_flow"
    ]
