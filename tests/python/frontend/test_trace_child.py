"""The child that the engine starts: what it is asked, what it leaves, and how long it takes."""

import json
import time

import pytest
from recording import GQA, MLA, PACKAGE, SOURCE, USUAL, run_child

FLOW = SOURCE.format(**USUAL)

# As the documentation of vortex_torch shows it.
MLA_EXAMPLE = """\
from typing import Dict
import torch
from vortex_torch.flow import vFlowMLA, register
from vortex_torch.indexer import GeMM, Mean, topK
from vortex_torch.cache import Mean as CMean
from vortex_torch.abs import ContextBase


@register("example_mla")
class Example(vFlowMLA):
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


def ask(folder, text, shapes=(GQA,), name=None, **keywords):
    (folder / "flow.py").write_text(text)
    return run_child(folder, {"path": "flow.py", "name": name, "shapes": list(shapes)}, **keywords)


def test_the_originals_example_over_latents(tmp_path):
    answer, _ = ask(tmp_path, MLA_EXAMPLE, [MLA])
    assert (answer["name"], answer["attention"], answer["flows"]) == ("example_mla", "mla", ["example_mla"])
    assert answer["graphs"] == [
        {
            "format": "vortex-flow/1",
            "name": "example_mla",
            "shape": MLA,
            "fields": [{"name": "centroids", "rows": 1, "cols": 576, "storage": "flow"}],
            "cache": [
                {"op": "Mean", "inputs": ["@latent"], "dim": 1, "at": "flow.py:22:9"},
                {"op": "Write", "inputs": ["%0"], "field": "centroids", "at": "flow.py:22:9"},
            ],
            "indexer": [
                {"op": "Mean", "inputs": ["q"], "dim": 1, "at": "flow.py:25:18"},
                {"op": "GeMM", "inputs": ["%0", "@centroids"], "at": "flow.py:26:17"},
                {"op": "topK", "inputs": ["%1"], "at": "flow.py:27:9"},
            ],
        }
    ]


def test_graphs_are_in_the_order_of_the_shapes_and_each_by_itself(tmp_path):
    shapes = [GQA | {"page_tokens": 32}, MLA, GQA]
    answer, _ = ask(tmp_path, FLOW.replace("(1, head_dim)", "(block_size // 16, head_dim)"), shapes)
    first, second, third = answer["graphs"]
    assert first["error"]["message"] == "Write([1, 1, 64]): the field is [2, 64]"
    assert first["error"]["where"] == "flow.py:14:9"
    assert first["error"]["hint"] == "declare the shape that is written in create_cache"
    assert "this flow is for grouped-query attention (gqa)" in second["error"]["message"]
    assert third["shape"] == GQA


def test_no_shapes_ask_for_name_and_attention(tmp_path):
    answer, _ = ask(tmp_path, FLOW, [])
    assert (answer["name"], answer["attention"], answer["graphs"]) == ("probe", "gqa", [])


def test_a_file_that_cannot_be_loaded_leaves_an_error_alone(tmp_path):
    answer, _ = ask(tmp_path, "import flash_attn\n")
    assert set(answer) == {"error"}
    assert answer["error"]["where"] == "flow.py:1:1"
    answer, _ = ask(tmp_path, FLOW, name="other")
    assert answer == {"error": {"where": "flow.py", "message": "no flow 'other'", "hint": "the file registers probe"}}


def test_files_are_those_that_the_graph_follows_from(tmp_path):
    (tmp_path / "widths.py").write_text("ROWS = 1\n")
    answer, _ = ask(tmp_path, "import json\nimport widths\n" + FLOW.replace("(1, head_dim)", "(widths.ROWS, head_dim)"))
    names = {file.removeprefix(f"{PACKAGE}/") for file in answer["files"]}
    assert {str(tmp_path / "flow.py"), str(tmp_path / "widths.py")} <= names
    assert {"vortex/indexer.py", "vortex/cache.py", "vortex/flow/infer.py", "vortex/flow/trace_main.py"} <= names
    assert not any("json" in name or "typing" in name for name in names)
    assert answer["graphs"][0]["fields"][0]["rows"] == 1


def test_a_module_beside_the_file_hides_none_of_pythons(tmp_path):
    (tmp_path / "json.py").write_text("raise RuntimeError('the wrong json')\n")
    answer, _ = ask(tmp_path, "import json\nassert json.loads('1') == 1\n" + FLOW)
    assert answer["name"] == "probe"


def test_output_belongs_to_the_author(tmp_path):
    answer, done = ask(tmp_path, FLOW + "print('hello')\nimport sys\nprint('careful', file=sys.stderr)\n")
    assert (done.stdout, done.stderr) == ("hello\n", "careful\n")
    assert answer["name"] == "probe"


def test_the_flow_knows_its_shape(tmp_path):
    text = MLA_EXAMPLE.replace(
        'return {"centroids"',
        "assert self.page_shape == (32, 512, 64, 8, 0.1) and self.page_shape.heads == 8\n        "
        'assert (self.block_size, self.kv_lora_rank) == (32, 512)\n        return {"centroids"',
    )
    answer, _ = ask(tmp_path, text, [MLA])
    assert answer["graphs"][0]["name"] == "example_mla"


@pytest.mark.parametrize("text", [FLOW, MLA_EXAMPLE])
def test_neither_numpy_nor_the_engine_is_loaded(tmp_path, text):
    refuse = "import sys\nfor name in ('numpy', 'vortex._native'):\n    assert name not in sys.modules, name\n"
    answer, _ = ask(tmp_path, text + refuse, [])
    assert "name" in answer, answer


def test_time(tmp_path):
    """A third of a second at most, on a machine that does other things too."""
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        answer, _ = ask(tmp_path, MLA_EXAMPLE, [MLA] * 3)
        taken.append(time.perf_counter() - start)
        assert len(answer["graphs"]) == 3
    assert min(taken) < 0.3, json.dumps(taken)
