"""VortexConfig: what it holds, and the forms in which it comes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from program import vortex_json

import vortex
from vortex.config import VortexConfig
from vortex.errors import ConfigurationError

DEFAULTS = {
    "topk_val": 30,
    "max_topk_val": None,
    "layers_skip": None,
    "block_reserved_bos": 1,
    "block_reserved_eos": 1,
    "max_seq_lens": -1,
    "workload_chunk_size": 32,
    "dtype": "bfloat16",
    "module_path": None,
    "module_name": None,
    "block_size": 16,
    "topk_ratio": 0.0,
    "compilation_cache_dir": None,
    "schedule_policy": None,
    "attention_backend": "flashinfer",
    "impl_backend": "triton",
    "use_tensor_core": False,
}


def test_its_fields_and_defaults_are_the_originals():
    assert json.loads(VortexConfig().to_json()) == DEFAULTS == VortexConfig().to_dict()
    assert vortex.VortexConfig is VortexConfig


def test_the_engine_has_the_same_defaults(sparse):
    assert sparse.info.vortex == VortexConfig(module_name="gqa_quest_sparse_attention", topk_val=8)


def test_a_dict_may_have_the_prefix_or_not():
    expected = VortexConfig(topk_val=5, layers_skip=[0, 2])
    assert VortexConfig.from_dict({"topk_val": 5, "vortex_layers_skip": [0, 2]}) == expected
    assert VortexConfig.from_json('{"vortex_topk_val": 5, "layers_skip": [0, 2]}') == expected
    assert VortexConfig.from_json(expected.to_json()) == expected


@pytest.mark.parametrize(
    "values, parts",
    [
        ({"topk": 3}, ["'topk'", "did you mean 'topk_val'"]),
        ({"vortex_blok_size": 3}, ["vortex_blok_size", "'block_size'"]),
        ({"zzz": 3}, ["zzz", "docs/configuration.md"]),
        ({"topk_val": 3, "vortex_topk_val": 3}, ["topk_val", "keep one"]),
        ({5: 3}, ["5"]),
    ],
)
def test_unknown_keys_are_refused(values, parts):
    with pytest.raises(ConfigurationError) as caught:
        VortexConfig.from_dict(values)
    for part in parts:
        assert part in str(caught.value)


def test_what_is_no_field_cannot_be_set():
    with pytest.raises(AttributeError):
        VortexConfig().topk = 3
    with pytest.raises(TypeError, match="topk"):
        VortexConfig(topk=3)
    with pytest.raises(ConfigurationError, match="fields are"):
        VortexConfig(topk_val={3}).to_json()


def test_the_program_reads_what_it_writes(tmp_path):
    text = VortexConfig(module_name="gqa_quest_sparse_attention", topk_val=4, layers_skip=[0]).to_json()
    run = vortex_json("run", "recall-gqa", "One day " * 60, "--raw", "-n", 2, "--vortex-config", text)
    assert run["sparsity"]["layers_sparse"] == [1, 2, 3, 4, 5]


def test_recording_a_flow_loads_neither_numpy_nor_the_engine():
    package = str(Path(vortex.__file__).parents[1])
    code = "import sys, vortex, vortex.config; print({'numpy', 'vortex._native'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": package}, check=True
    )
    assert done.stdout == "set()\n"
