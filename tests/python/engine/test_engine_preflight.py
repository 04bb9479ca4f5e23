"""Engine files of the original: each step of the pre-flight has its own error, and a good file makes an engine."""

import json
import shutil

import pytest
from program import MODEL

from vortex.engine.sgl import api
from vortex.engine.sgl.api import EngineConfigError, check_engine_config, get_engine, with_defaults
from vortex.engine.sgl.config import VortexConfig
from vortex.errors import ConfigurationError

FLOW = """
from typing import Dict
import torch
from vortex_torch.flow import vFlow, register
from vortex_torch.indexer import topK, GeMM, Mean
from vortex_torch.cache import Mean as CMean
from vortex_torch.abs import ContextBase


@register("my_blocks")
class MyBlocks(vFlow):
    def __init__(self):
        super().__init__()
        self.mean = Mean(dim=1)
        self.gemm = GeMM()
        self.output_func = topK()
        self.reduction = CMean(dim=1)

    def create_cache(self, block_size: int, head_dim: int):
        return {"centroids": (1, head_dim)}

    def forward_cache(self, cache: Dict[str, torch.Tensor], loc: torch.Tensor, ctx: ContextBase):
        self.reduction(cache["k"], cache["centroids"], loc=loc, ctx=ctx)

    def forward_indexer(self, q: torch.Tensor, o: torch.Tensor, cache: Dict[str, torch.Tensor], ctx: ContextBase):
        score = self.gemm(self.mean(q, ctx=ctx), cache["centroids"], ctx=ctx)
        self.output_func(score, o, ctx=ctx)
"""
GOOD = {
    "model_path": MODEL,
    "vortex_module_name": "my_blocks",
    "vortex_module_path": "flow.py",
    "vortex_block_size": 16,
    "vortex_workload_chunk_size": 32,
    "vortex_block_reserved_bos": 1,
    "vortex_block_reserved_eos": 2,
    "vortex_topk_val": 6,
    "vortex_layers_skip": [0],
}


@pytest.fixture
def write(tmp_path):
    def write(changes=(), text=FLOW, without=()):
        values = {key: value for key, value in {**GOOD, **dict(changes)}.items() if key not in without}
        (tmp_path / "flow.py").write_text(text)
        (tmp_path / "engine.json").write_text(json.dumps(values))
        return tmp_path / "engine.json"

    return write


def test_a_good_file_passes(write, tmp_path):
    assert check_engine_config(write())["vortex_module_path"] == str(tmp_path / "flow.py")
    check_engine_config(str(write({"vortex_block_size": 16.0, "vortex_layers_skip": None})))
    check_engine_config(write({"vortex_layers_skip": []}, FLOW.replace('"my_blocks"', "'my_blocks'")))


def test_a_good_file_passes_without_weights(write, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    shutil.copy(f"{MODEL}/config.json", model)
    assert check_engine_config(write({"model_path": str(model)}))["model_path"] == str(model)


@pytest.mark.parametrize(
    "content, part", [(None, "cannot be read"), ("{", "not JSON"), ("[1]", "not a JSON object"), (b"\xff", "cannot be")]
)
def test_step_1_the_file(tmp_path, content, part):
    path = tmp_path / "engine.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(EngineConfigError, match=part):
        check_engine_config(path)


def refused(path, *parts):
    with pytest.raises(EngineConfigError) as caught:
        check_engine_config(path)
    assert isinstance(caught.value, ValueError)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("key", ["vortex_block_size", "vortex_workload_chunk_size"])
def test_steps_2_and_3_powers_of_two(write, key):
    refused(write(without=[key]), key, "missing")
    for value, part in [(12, "12 is not a power of two"), (0, "0 is not"), (True, "true is not a whole"), (1.5, "1.5")]:
        refused(write({key: value}), key, part)
    refused(write({key: "16"}), key, "without quotes")


@pytest.mark.parametrize("key", ["vortex_block_reserved_bos", "vortex_block_reserved_eos"])
def test_step_4_reserved_blocks(write, key):
    refused(write(without=[key]), key, "missing")
    refused(write({key: 0}), key, "0 is below 1")
    refused(write({key: None}), key, "null is not a whole number")


@pytest.mark.parametrize("layers", [3, "0", [0, "1"], [True], {"a": 1}, [0.5]])
def test_step_5_layers(write, layers):
    refused(write({"vortex_layers_skip": layers}), "vortex_layers_skip", json.dumps(layers), "list of layer numbers")


def test_step_6_the_flows_file(write, tmp_path, monkeypatch):
    for value in ("", "  ", None, 5):
        refused(write({"vortex_module_path": value}), "vortex_module_path", "no file is named")
    refused(write({"vortex_module_path": "other.py"}), "'other.py' does not exist", str(tmp_path))
    refused(write({"vortex_module_path": str(tmp_path)}), "does not exist")
    (tmp_path / "here").mkdir()
    (tmp_path / "here/near.py").write_text(FLOW)
    monkeypatch.chdir(tmp_path / "here")
    assert check_engine_config(write({"vortex_module_path": "near.py"}))["vortex_module_path"] == "near.py"


def test_step_7_the_flows_name(write):
    refused(write({"vortex_module_name": ""}), "vortex_module_name", "no flow is named")
    refused(write({"vortex_module_name": "my_block"}), "does not register 'my_block'", "flow.py")
    refused(write({"vortex_module_name": "my.blocks"}), "does not register 'my.blocks'")


def test_step_8_the_flow_compiles_for_the_model(write):
    refused(write(text=FLOW.replace("self.gemm(self.mean(q, ctx=ctx), cache", "self.gemm(cache")), "flow.py:")
    refused(write(text=FLOW.replace("CMean(dim=1)", "CMean(dim=7)")), "flow.py:")
    refused(write(text=FLOW.replace("return {", "return {[")), "flow.py:")
    refused(write({"vortex_topk_val": 0}), "topk_val", "0")
    refused(write({"vortex_topkval": 3}), "vortex_topkval", "topk_val")
    refused(write({"vortex_layers_skip": [6]}), "layers_skip", "6")
    refused(write({"model_path": "recall-mla"}), "mla")
    refused(write({"model_path": "recall-gpa"}), "recall-gqa")
    refused(write({"model_path": 5}), "model_path", "names no model")


def test_step_9_saved_state_turns_the_prefix_cache_off(write):
    saving = FLOW + "\n# Save(\n"
    for value in (None, False, "true", 1):
        refused(write({"disable_radix_cache": value}, saving), "disable_radix_cache", "must be true")
    check_engine_config(write({"disable_radix_cache": True}, saving))


def test_the_first_failing_step_is_told(write):
    bad = {"vortex_block_size": 3, "vortex_block_reserved_eos": 0, "vortex_module_path": ""}
    refused(write(bad), "vortex_block_size")
    refused(write({**bad, "vortex_block_size": 16}), "vortex_block_reserved_eos")


def test_a_missing_model_is_said(write):
    with pytest.warns(UserWarning, match="Qwen/Qwen3-1.7B"):
        refused(write(without=["model_path"]), "Qwen3-1.7B")
    with pytest.warns(UserWarning, match="Qwen/Qwen3-1.7B"):
        assert with_defaults({})["model_path"] == "Qwen/Qwen3-1.7B"


def test_the_helpers_defaults_are_not_the_objects():
    values = with_defaults({"model_path": "m", "vortex_topk_ratio": None, "vortex_schedule_policy": None})
    assert values["vortex_topk_val"] == 29 and VortexConfig().topk_val == 30
    assert values["vortex_block_reserved_eos"] == 2 and VortexConfig().block_reserved_eos == 1
    assert (values["vortex_layers_skip"], values["vortex_max_seq_lens"]) == ([0], 20480)
    assert (values["page_size"], values["vortex_topk_ratio"]) == (16, 0.0)
    assert values["vortex_module_name"] == "example_block_sparse_attention_cls"
    assert with_defaults({"model_path": "m", "vortex_layers_skip": []})["vortex_layers_skip"] == []
    assert with_defaults({"model_path": "m", "vortex_block_size": 32})["page_size"] == 32
    assert "vortex_module_path" not in with_defaults({"model_path": "m", "vortex_module_name": "x"})


def test_an_engine_file_makes_an_engine(write, document):
    path = write({"vortex_compilation_cache_dir": None, "log_level": "error", "max_running_requests": 2})
    with get_engine(path, vortex_topk_val=4) as engine:
        config = engine.info.vortex
        assert (config.topk_val, config.block_reserved_eos, config.layers_skip) == (4, 2, [0])
        assert engine.info.flow == "my_blocks"
        report = engine.generate(document, {"max_new_tokens": 3, "ignore_eos": True})["meta_info"]["vortex"]
        assert report["pages_read"] == 2 * 5 * 2 * (4 + 1 + 2)


def test_what_is_no_engine_file(tmp_path):
    with pytest.raises(ConfigurationError, match="list is no engine configuration"):
        get_engine([1])
    (tmp_path / "e.json").write_text("[]")
    with pytest.raises(ValueError, match="not a JSON object"):
        get_engine(tmp_path / "e.json")
    with pytest.raises(EngineConfigError, match=r"nowhere\.json: cannot be read"):
        get_engine(tmp_path / "nowhere.json")
    assert set(api.__all__) >= {"get_engine", "check_engine_config", "EngineConfigError"}
