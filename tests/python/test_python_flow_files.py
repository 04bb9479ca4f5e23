"""Flows in Python given to the program: `.py` as module_path in every command, and what is kept of them."""

import json
import shutil
import sys

import pytest
from program import MODEL, ROOT, assert_refused, vortex, vortex_json

CONFIGURATION = 78
FACTS = (
    "The secret word for old stone is candle. "
    + "".join(f"The secret word for green apple {i} is river. " for i in range(20))
    + "What is the secret word for old stone?"
)
BUDGET = {"topk_val": 6, "block_reserved_eos": 2}

# As the original's documentation writes a flow over latents.
MLA_EXAMPLE = """
from typing import Dict
import torch

from vortex_torch.flow import vFlowMLA, register
from vortex_torch.indexer import Mean, GeMM, topK
from vortex_torch.cache import Mean as CMean
from vortex_torch.abs import ContextBase


@register("custom_mla_attention")
class CustomMLA(vFlowMLA):
    def __init__(self):
        super().__init__()
        self.mean = Mean(dim=1)
        self.gemm = GeMM()
        self.output_func = topK()
        self.reduction = CMean(dim=1)

    def create_cache(self, block_size: int, kv_lora_rank: int, qk_rope_head_dim: int):
        return {"centroids": (1, kv_lora_rank + qk_rope_head_dim)}

    def forward_cache(self, cache: Dict[str, torch.Tensor], loc: torch.Tensor, ctx: ContextBase):
        self.reduction(cache["latent"], cache["centroids"], loc=loc, ctx=ctx)

    def forward_indexer(self, q: torch.Tensor, o: torch.Tensor, cache: Dict[str, torch.Tensor], ctx: ContextBase):
        q_mean = self.mean(q, ctx=ctx)
        score = self.gemm(q_mean, cache["centroids"], ctx=ctx)
        self.output_func(score, o, ctx=ctx)
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def mla_file(tmp_path):
    path = tmp_path / "custom.py"
    path.write_text(MLA_EXAMPLE)
    return path


def answer(cache, model, config, *arguments):
    config = json.dumps(BUDGET | config)
    options = ["--max-tokens", "8", "--temperature", "0", "--vortex-config", config, *arguments]
    done = vortex_json("run", model, FACTS, *options, VORTEX_CACHE_DIR=cache)
    return done["text"], done["sparsity"]


def test_the_originals_latent_example_is_checked_and_runs(cache, mla_file):
    checked = vortex("flow", "check", mla_file, "--model", "recall-mla", "--sweep", VORTEX_CACHE_DIR=cache)
    assert checked.status == 0, checked.err
    assert "custom_mla_attention: compiles for group 8, head_dim 576" in checked.out
    assert "15 of 15 shapes compile" in checked.out
    config = {"module_path": str(mla_file), "module_name": "custom_mla_attention"}
    text, sparsity = answer(cache, "recall-mla", config)
    assert sparsity["active"] and 0 < sparsity["pages_read"] < sparsity["pages_held"]
    built_in = answer(cache, "recall-mla", {"module_name": "rope_aware_block_sparse_mla"})
    assert (text, sparsity | {"flow": built_in[1]["flow"]}) == built_in  # the same flow under another name
    refused = vortex("run", MODEL, "hi", "--flow", mla_file, VORTEX_CACHE_DIR=cache)
    assert_refused(refused, CONFIGURATION, "custom_mla_attention", "latent attention (mla)", "flows that fit")


@pytest.mark.parametrize("name", ["gqa_quest_sparse_attention", "sketch2_sparse_attention", "running_avg_block_sparse"])
def test_a_file_in_python_answers_as_the_built_in_flow_does(cache, name):
    file = ROOT / f"examples/flows/{name}.py"
    assert answer(cache, MODEL, {"module_path": str(file)}) == answer(cache, MODEL, {"module_name": name})


def test_commands_that_take_flows_take_files_in_python(cache, tmp_path):
    file = ROOT / "examples/flows/gqa_quest_sparse_attention.py"
    latency = ["bench", "latency", "--model", MODEL, "--input-len", "600", "--output-len", "4", "--flow", file]
    assert vortex_json(*latency, VORTEX_CACHE_DIR=cache)["sparsity"]["flow"] == file.stem
    recall = ["eval", "recall", "--model", MODEL, "--data", ROOT / "models/recall-gqa/eval/recall-4096.jsonl.gz"]
    report = vortex_json(*recall, "--limit", "1", "--flow", file, VORTEX_CACHE_DIR=cache)
    assert report["sparsity"]["flow"] == file.stem
    assert file.stem in vortex("flow", "explain", file, VORTEX_CACHE_DIR=cache).out
    built = vortex("flow", "build", file, "-o", tmp_path / "quest.json", "--model", MODEL, VORTEX_CACHE_DIR=cache)
    assert (built.status, built.out) == (0, file.stem + "\n"), built.err
    graph = json.loads((tmp_path / "quest.json").read_text())
    assert answer(cache, MODEL, {"module_path": str(tmp_path / "quest.json")}) == answer(
        cache, MODEL, {"module_path": str(file)}
    )
    assert graph["indexer"][0]["at"].startswith(str(file))


def test_the_skeleton_works_and_its_test_passes(cache, tmp_path):
    made = vortex("flow", "new", "peaks", "--python", "-o", tmp_path)
    assert made.out.split() == [str(tmp_path / "peaks.py"), str(tmp_path / "peaks_test.sh")]
    checked = vortex("flow", "check", tmp_path / "peaks.py", "--sweep", VORTEX_CACHE_DIR=cache)
    assert checked.status == 0 and "90 of 90 shapes compile" in checked.out, checked.out
    assert "peaks.py" in (tmp_path / "peaks_test.sh").read_text()
    text, sparsity = answer(cache, MODEL, {}, "--flow", tmp_path / "peaks.py")
    assert (text, sparsity | {"flow": ""}) == _quest(cache)


def _quest(cache):
    text, sparsity = answer(cache, MODEL, {"module_name": "gqa_quest_sparse_attention"})
    return text, sparsity | {"flow": ""}


def test_a_mistake_has_its_place_in_the_file(cache, tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text(
        MLA_EXAMPLE.replace('cache["latent"], cache["centroids"]', 'cache["latents"], cache["centroids"]')
    )
    line = next(i for i, text in enumerate(broken.read_text().splitlines(), 1) if '"latents"' in text)
    for command in (["flow", "check", broken, "--model", "recall-mla"], ["run", "recall-mla", "hi", "--flow", broken]):
        done = vortex(*command, VORTEX_CACHE_DIR=cache)
        assert done.status != 0 and f"{broken}:{line}:" in done.out + done.err, done.err
        assert "latents" in done.out + done.err and "Traceback" not in done.out + done.err
    broken.write_text("import nothing_of_that_name\n")
    done = vortex("flow", "check", broken, VORTEX_CACHE_DIR=cache)
    assert f"{broken}:1:" in done.out and "nothing_of_that_name" in done.out


def test_without_python_the_refusal_says_what_to_do(mla_file):
    refused = vortex("flow", "check", mla_file, VORTEX_PYTHON="/no/such/python")
    assert refused.status != 0 and "Python 3.11" in refused.out and "VORTEX_PYTHON" in refused.out


def test_a_program_elsewhere_takes_the_front_end_beside_it(cache, mla_file, tmp_path):
    shutil.copytree(ROOT / "python/vortex", tmp_path / "front/vortex", ignore=shutil.ignore_patterns("__pycache__"))
    done = vortex("flow", "check", mla_file, VORTEX_PYTHON_DIR=str(tmp_path / "front"), VORTEX_CACHE_DIR=cache)
    assert done.status == 0, done.out
    missing = vortex("flow", "check", mla_file, VORTEX_PYTHON_DIR=str(tmp_path), VORTEX_CACHE_DIR=cache)
    assert missing.status != 0 and "vortex" in missing.out


def test_what_was_recorded_is_kept_until_something_changes(mla_file, tmp_path):
    counting = tmp_path / "python"
    counting.write_text(f'#!/bin/sh\necho run >> {tmp_path}/runs\nexec {sys.executable} "$@"\n')
    counting.chmod(0o755)

    def check():
        kept = {"VORTEX_CACHE_DIR": str(tmp_path / "cache"), "VORTEX_PYTHON": str(counting)}
        assert vortex("flow", "check", mla_file, "--model", "recall-mla", **kept).status == 0
        return (tmp_path / "runs").read_text().count("run")

    first = check()
    assert first == 2  # what the flow is, and its graph
    assert check() == first
    mla_file.write_text(MLA_EXAMPLE + "\n")
    assert check() == 2 * first
