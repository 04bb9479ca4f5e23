"""Flows as graphs, lists and findings: the package says what the commands say."""

import json
import math

import pytest
from program import MODEL, ROOT, vortex_json
from program import vortex as run_vortex

import vortex.eval
from vortex import VortexConfig, _native
from vortex.errors import ConfigurationError, InvalidArgumentError, TraceError
from vortex.flow import PageShape

SHAPE = json.dumps(PageShape(16, 64, 4, 1 / math.sqrt(64)).to_json())
MLA_MODEL = str(ROOT / "models/recall-mla")


def built(flow, model, path, *options):
    outcome = run_vortex("flow", "build", flow, "-m", model, "-o", path, *options)
    assert outcome.status == 0, outcome.err
    return path.read_text()


@pytest.mark.parametrize(
    "flow, model, page",
    [("sketch2_sparse_attention", MODEL, 16), ("gqa_quest_sparse_attention", MODEL, 8), ("sketch1_mla", MLA_MODEL, 32)],
)
def test_graphs_are_those_of_flow_build(tmp_path, flow, model, page):
    by_command = built(flow, model, tmp_path / "flow.json", "--block-size", str(page))
    graph = _native.trace_flow(None, flow, _native.model_shape(model, page))
    assert _native.canonical_graph(graph) == _native.canonical_graph(by_command)
    assert '"at"' in graph and '"at"' not in _native.canonical_graph(graph)
    assert json.loads(graph)["shape"]["page_tokens"] == page


def test_graphs_come_from_files(tmp_path):
    recorded = tmp_path / "quest.json"
    recorded.write_text(_native.trace_flow(None, "gqa_quest_sparse_attention", SHAPE))
    again = _native.trace_flow(str(recorded), None, SHAPE)
    source = _native.trace_flow(str(ROOT / "flows/gqa_quest_sparse_attention.cc"), None, SHAPE)
    python = _native.trace_flow(str(ROOT / "examples/flows/gqa_quest_sparse_attention.py"), None, SHAPE)
    graphs = {_native.canonical_graph(graph) for graph in (again, source)}
    assert len(graphs) == 1
    assert json.loads(python)["name"] == "gqa_quest_sparse_attention"


def test_canonical_graphs_forget_where_and_what_is_default():
    graph = json.loads(_native.trace_flow(None, "block_sparse_attention", SHAPE))
    for node in graph["cache"] + graph["indexer"]:
        node["at"] = "elsewhere.py:1:1"
    graph["fields"][0].pop("storage")
    moved = _native.canonical_graph(json.dumps(graph))
    assert moved == _native.canonical_graph(_native.trace_flow(None, "block_sparse_attention", SHAPE))


@pytest.mark.parametrize(
    "arguments, error, parts",
    [
        ((None, "block_sparse", SHAPE), ConfigurationError, ["did you mean 'block_sparse_attention'"]),
        ((None, None, SHAPE), ConfigurationError, ["module_name"]),
        (("/no/such.json", None, SHAPE), FileNotFoundError, ["/no/such.json"]),
        ((None, "quest_mla", SHAPE), ConfigurationError, ["quest_mla", "block_sparse_attention"]),
        ((None, "block_sparse_attention", "{}"), InvalidArgumentError, ["shape", "'group'"]),
        ((None, "block_sparse_attention", SHAPE[:-1] + ', "heads": 2}'), InvalidArgumentError, ["'heads'"]),
    ],
)
def test_graphs_that_cannot_be_made(arguments, error, parts):
    with pytest.raises(error) as caught:
        _native.trace_flow(*arguments)
    for part in parts:
        assert part in str(caught.value)


def test_faults_of_a_python_file_have_its_line(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("from vortex.flow import vFlow, register\n\n@register('mine')\nclass Mine(vFlow):\n    x = 1 / 0\n")
    with pytest.raises((TraceError, ConfigurationError), match=r"mine\.py:5.*division by zero"):
        _native.trace_flow(str(file), None, SHAPE)


def test_the_list_is_that_of_the_command():
    listed = [{"name": f.name, "attention": f.attention, "summary": f.summary} for f in vortex.eval.list_flows()]
    assert listed == vortex_json("flow", "list")


@pytest.mark.parametrize("model", [None, MODEL])
def test_findings_are_those_of_the_command(model):
    config = VortexConfig(module_name="gqa_quest_sparse_attention", max_topk_val=4, block_reserved_bos=0)
    options = ["--model", model] if model else []
    by_command = vortex_json("flow", "check", config.to_json(), *options)["findings"]
    findings = vortex.eval.preflight(config, model)
    rows = [{"severity": f.severity, "where": f.where, "message": f.message, "hint": f.hint} for f in findings]
    assert rows == by_command
    assert str(findings[0]).startswith("warning: max_topk_val: 4 cuts topk_val 30")


def test_preflight_names_what_an_engine_would_refuse():
    findings = vortex.eval.preflight(VortexConfig(module_name="quest_mla"), MODEL)
    assert findings[0].severity == "error" and "quest_mla" in findings[0].message + findings[0].where
    with pytest.raises(ConfigurationError, match="block_size: 24"):
        vortex.eval.preflight(VortexConfig(block_size=24))


def test_shapes_of_models():
    assert json.loads(_native.model_shape(MODEL, 16)) == json.loads(SHAPE)
    latent = json.loads(_native.model_shape(MLA_MODEL, 32))
    assert (latent["attention"], latent["kv_lora_rank"], latent["head_dim"]) == ("mla", 512, 576)
    with pytest.raises(FileNotFoundError, match="/no/model"):
        _native.model_shape("/no/model", 16)
