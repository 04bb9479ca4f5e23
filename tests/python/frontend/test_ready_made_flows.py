"""The ready-made flows in Python and in C++ are the same graphs, at several shapes."""

import json
from pathlib import Path

import pytest
from program import ROOT
from recording import GQA, MLA

from vortex import _native

FLOWS = {name: attention for name, attention, _ in _native.list_flows()}
SHAPES = {
    "gqa": [GQA, GQA | {"page_tokens": 64, "group": 1, "head_dim": 128, "scale": 0.08}],
    "mla": [MLA, MLA | {"page_tokens": 16, "group": 20, "head_dim": 320, "kv_lora_rank": 256}],
}
FILES = sorted((ROOT / "examples/flows").glob("*.py"))


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """Recordings are kept in a folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VORTEX_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


def file_of(name):
    (file,) = (file for file in FILES if f'@register("{name}")' in file.read_text())
    return str(file)


def renumbered(program):
    """Nodes in the order in which the stores and the output need them. A C++ compiler chooses the order in which the
    arguments of gemm(f(x), g(y)) are recorded; Python goes from left to right."""
    order = {}

    def need(value):
        if not value.startswith("%") or value in order:
            return
        for x in program[int(value[1:])]["inputs"]:
            need(x)
        order[value] = f"%{len(order)}"

    read = {value for node in program for value in node["inputs"]}
    for i in range(len(program)):
        if f"%{i}" not in read:
            need(f"%{i}")
    nodes = [program[int(old[1:])] for old in order]
    return [node | {"inputs": [order.get(value, value) for value in node["inputs"]]} for node in nodes]


def comparable(graph):
    graph = json.loads(_native.canonical_graph(graph))
    return graph | {"cache": renumbered(graph["cache"]), "indexer": renumbered(graph["indexer"])}


def test_there_is_one_of_each():
    files = {name: file_of(name) for name in FLOWS}
    assert len(FLOWS) >= 29
    assert {file.rsplit("/", 1)[1] for file in files.values()} == {file.name for file in FILES}
    cc = {path.stem for path in (ROOT / "flows").glob("*.cc")} - {"registry"}
    assert {file.stem for file in FILES} == cc


@pytest.mark.parametrize("name", FLOWS)
def test_the_graphs_are_equal(name):
    for shape in SHAPES[FLOWS[name]]:
        cpp = _native.trace_flow(None, name, json.dumps(shape))
        python = _native.trace_flow(file_of(name), name, json.dumps(shape))
        assert comparable(python) == comparable(cpp)
        assert len(json.loads(python)["indexer"]) >= 3


def test_places_are_those_of_the_file():
    file = file_of("running_avg_block_sparse")
    graph = json.loads(_native.trace_flow(file, None, json.dumps(GQA)))
    lines = Path(file).read_text().splitlines()
    for node in graph["cache"] + graph["indexer"]:
        path, line, column = node["at"].rsplit(":", 2)
        assert path == file
        assert lines[int(line) - 1][int(column) - 1 :].startswith("self."), node
