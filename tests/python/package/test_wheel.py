"""What `pip install .` gives."""

import os
import subprocess
import sys
import time
import venv
from pathlib import Path

import pytest
from program import BUILD, ROOT, environment

SCRIPT = """
import vortex
from vortex import _native
assert not _native.__file__.startswith({root!r}), _native.__file__
flow = {flow!r}
with vortex.Engine("recall-gqa", vortex={{"module_path": flow, "topk_val": 6}}) as llm:
    answer = llm.generate("word " * 400, {{"max_new_tokens": 4, "temperature": 0}})
assert answer["meta_info"]["vortex"]["flow"] == "block_sparse_attention"
print(len(answer["output_ids"]))
"""


def answer_with(python, packages, flow, folder):
    script = SCRIPT.format(root=str(ROOT), flow=str(flow))
    variables = {"PYTHONPATH": packages, "VORTEX_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(
        [python, "-c", script],
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "4"


def packaged(folder):
    """The package's files where a wheel puts them."""
    subprocess.run(["cmake", "--install", BUILD, "--component", "python", "--prefix", folder], check=True, timeout=60)
    for file in (ROOT / "python/vortex").rglob("*.py"):
        target = folder / "vortex" / file.relative_to(ROOT / "python/vortex")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    return folder


@pytest.mark.parametrize("suffix", ["py", "cc"])
def test_the_files_of_a_wheel_serve_flows_of_both_languages(tmp_path, suffix):
    places = {"py": "examples/flows", "cc": "flows"}
    site = packaged(tmp_path / "site")
    assert (site / "vortex/include/vortex/flow.h").is_file()
    flow = ROOT / places[suffix] / f"block_sparse_attention.{suffix}"
    answer_with(sys.executable, str(site), flow, tmp_path)


@pytest.mark.slow
def test_pip_installs_it_into_a_fresh_environment(tmp_path):
    """Eight minutes at most on two cores; nothing is taken from the build tree or from a compiler cache."""
    source = tmp_path / "source"
    subprocess.run(["git", "clone", "-q", ROOT, source], check=True)
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    start = time.monotonic()
    built = subprocess.run(
        [python, "-m", "pip", "install", "."],
        cwd=source,
        env=os.environ | {"CCACHE_DISABLE": "1"},
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert built.returncode == 0, built.stdout[-4000:]
    print(f"pip install . took {time.monotonic() - start:.0f} s")
    answer_with(str(python), "", Path(ROOT) / "examples/flows/block_sparse_attention.py", tmp_path)


@pytest.mark.parametrize("tool", [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]])
def test_style_and_types(tool):
    folders = [] if tool == ["mypy"] else ["python", "examples", "tests/python/package"]
    done = subprocess.run(
        [sys.executable, "-m", *tool, *folders], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
