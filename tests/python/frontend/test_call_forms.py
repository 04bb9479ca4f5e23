"""The ways in which operators are made and called, and what tensors say of themselves."""

import struct

import pytest
from recording import GQA, MLA, USUAL

import vortex.cache as C
import vortex.indexer as I
from vortex.flow import LatentShape, PageShape, register, registered, trace, vFlow, vFlowMLA
from vortex.flow.tensor import PAGE_COUNT

PAGE = PageShape(page_tokens=16, head_dim=64, group=4, scale=0.125)


def nodes(program):
    """Nodes without their places."""
    return [{key: value for key, value in node.items() if key != "at"} for node in program]


def indexer(probe, code, **methods):
    """What the lines record, less the usual output after them."""
    probe.write(indexer=code + "\n" + USUAL["indexer"], **methods)
    return nodes(probe.graph()["indexer"])[:-3]


LOADED = {"op": "Load", "inputs": ["@c"]}
CALLS = [
    ("I.Mean(dim=1)(q, ctx=ctx)", [{"op": "Mean", "inputs": ["q"], "dim": 1}]),
    ("I.Mean(1)(q, ctx)", [{"op": "Mean", "inputs": ["q"], "dim": 1}]),
    ("I.GeMM()(x=q, y=cache['c'], ctx=ctx)", [{"op": "GeMM", "inputs": ["q", "@c"]}]),
    ("I.Add(0.5, 1)(q, cache['c'], ctx)", [{"op": "Add", "inputs": ["q", "@c"], "alpha": 0.5, "beta": 1.0}]),
    ("I.Abs()(q, ctx)", [{"op": "Abs", "inputs": ["q"], "alpha": 0.0, "beta": 1.0}]),
    ("I.Kron()(q, cache['c'], ctx)", [{"op": "Kron", "inputs": ["q", "@c"], "dims": 3}]),
    ("I.Kron(dim=(2, 1))(q, cache['c'], ctx)", [{"op": "Kron", "inputs": ["q", "@c"], "dims": 3}]),
    ("I.Kron(dim=2)(q, cache['c'], ctx)", [{"op": "Kron", "inputs": ["q", "@c"], "dims": 2}]),
    ("I.Kron([1])(q, cache['c'], ctx)", [{"op": "Kron", "inputs": ["q", "@c"], "dims": 1}]),
    ("I.Reshape(-1, 2, 128)(q, ctx)", [{"op": "Reshape", "inputs": ["q"], "rows": 2, "cols": 128}]),
    (
        "I.MaskSlice(0, 8, dim=2, alpha=0.0, beta=1.0)(q, ctx)",
        [{"op": "MaskSlice", "inputs": ["q"], "dim": 2, "start": 0, "end": 8, "alpha": 0.0, "beta": 1.0}],
    ),
    (
        "I.Conv1d([[[0.25] * 64], [[0.5] * 64]], dim=0, dtype=None, device='cpu')(I.Load()(cache['c'], ctx), ctx=ctx)",
        [LOADED, {"op": "Conv1d", "inputs": ["%0"], "dim": 0, "k": 2, "weight": [0.25] * 64 + [0.5] * 64}],
    ),
    (
        "I.Softmax(0, 2.0)(I.Load()(cache['c'], ctx=ctx), ctx=ctx)",
        [LOADED, {"op": "Softmax", "inputs": ["%0"], "dim": 0, "scale": 2.0}],
    ),
    (
        "I.Project('w', 1, 64)(q, ctx=ctx)",
        [{"op": "Project", "inputs": ["q"], "rows": 1, "cols": 64, "parameter": "w"}],
    ),
    (
        "x = I.Load()(cache['c'], ctx=ctx)\nassert I.Save()(x, cache['c'], ctx=ctx).shape == cache['c'].shape",
        [LOADED, {"op": "Save", "inputs": ["%0"], "field": "c"}],
    ),
    ("[I.Exp()(q, ctx=ctx) for _ in range(2)]", [{"op": "Exp", "inputs": ["q"], "alpha": 0.0, "beta": 1.0}] * 2),
]


@pytest.mark.parametrize(("code", "expected"), CALLS, ids=[row[0][:40] for row in CALLS])
def test_in_forward_indexer(probe, code, expected):
    assert indexer(probe, code) == expected


MEAN = {"op": "Mean", "inputs": ["@k"], "dim": 1}
WRITE = {"op": "Write", "inputs": ["%0"], "field": "c"}
CACHE_CALLS = [
    ("C.Mean(1)(cache['k'], cache['c'], loc, ctx)", [MEAN, WRITE]),
    ("C.Mean(dim=1)(x=cache['k'], output=cache['c'], loc=loc, ctx=ctx)", [MEAN, WRITE]),
    (
        "C.Abs()(C.Mean(1)(cache['k'], output=None, loc=loc, ctx=ctx), cache['c'], loc, ctx)",
        [MEAN, {"op": "Abs", "inputs": ["%0"], "alpha": 0.0, "beta": 1.0}, WRITE | {"inputs": ["%1"]}],
    ),
    (
        "x = C.Mean(1)(cache['k'], loc=loc, ctx=ctx)\nC.Maximum()(x, x, cache['c'], loc, ctx)",
        [MEAN, {"op": "Maximum", "inputs": ["%0", "%0"]}, WRITE | {"inputs": ["%1"]}],
    ),
    # What is given back can be read on, before it is rounded to the field's type.
    (
        "x = C.Mean(1)(cache['k'], cache['c'], loc, ctx)\nC.Abs()(x, None, loc, ctx)",
        [MEAN, WRITE, {"op": "Abs", "inputs": ["%0"], "alpha": 0.0, "beta": 1.0}],
    ),
    ("C.Fill(0.5)(cache['c'], loc=loc, ctx=ctx)", [{"op": "Fill", "inputs": [], "field": "c", "alpha": 0.5}]),
    ("C.Fill()(cache['c'], loc, ctx)", [{"op": "Fill", "inputs": [], "field": "c", "alpha": 0.0}]),
    (
        "x = C.MaxInterleave(k=16)(cache['k'], None, loc, ctx)\nC.Rotate()(x, cache['c'], loc, ctx)",
        [
            {"op": "MaxInterleave", "inputs": ["@k"], "dim": 1, "k": 16},
            {"op": "Rotate", "inputs": ["%0"]},
            WRITE | {"inputs": ["%1"]},
        ],
    ),
]


@pytest.mark.parametrize(("code", "expected"), CACHE_CALLS, ids=[row[0][:40] for row in CACHE_CALLS])
def test_in_forward_cache(probe, code, expected):
    probe.write(cache=code)
    assert nodes(probe.graph()["cache"]) == expected


def test_two_sets_of_pages_and_their_union(probe):
    probe.write(
        indexer="score = I.GeMM()(I.Mean(dim=1)(q, ctx=ctx), cache['c'], ctx=ctx)\n"
        "tables, lengths = I.TopK(k=29)(score, ctx=ctx)\n"
        "other = I.TopK(5)(score, ctx=ctx)\n"
        "I.Union()((tables, lengths), other, o, ctx=ctx)"
    )
    assert nodes(probe.graph()["indexer"])[2:] == [
        {"op": "TopK", "inputs": ["%1"], "k": 29},
        {"op": "TopK", "inputs": ["%1"], "k": 5},
        {"op": "Union", "inputs": ["%2", "%3"]},
    ]


@pytest.mark.parametrize(
    ("call", "attributes"),
    [
        ("I.topK()", {}),
        ("I.approxTopK(tolerate_ratio=0.5)", {"tolerate_ratio": 0.5}),
        ("I.top_p(0.75, 2, 8)", {"mass": 0.75, "at_least": 2, "at_most": 8}),
    ],
)
def test_outputs(probe, call, attributes):
    probe.write(indexer=USUAL["indexer"].replace("I.topK()", call))
    name = call[2:].split("(")[0]
    assert nodes(probe.graph()["indexer"])[-1] == {"op": name, "inputs": ["%1"], **attributes}


def test_numbers_are_those_of_float32():
    single = struct.unpack("<f", struct.pack("<f", 0.09))[0]
    assert single != 0.09
    assert I.Softmax(0, 0.09).attributes["scale"] == single


def test_what_a_tensor_says(probe):
    probe.write(
        fields="return {'c': (1, head_dim), 's': (block_size, head_dim, 'int2')}",
        cache=USUAL["cache"] + "\nself.k = cache['k']\nC.Rotate()(cache['k'], cache['s'], loc, ctx)",
        indexer="self.q, self.c, self.s = q, cache['c'], cache['s']\n"
        "self.r = I.GeMM()(q, self.c, ctx=ctx)\n" + USUAL["indexer"],
    )
    from vortex.flow import loading

    loading.load_flow_file(str(probe.path))
    flow = registered()["probe"]()
    trace(flow, PAGE)
    assert flow.page_shape == PAGE
    assert (flow.block_size, flow.head_dim) == (16, 64)
    seen = {name: (x.shape, x.format.name, x.dtype) for name, x in vars(flow).items() if name in "qcskr"}
    assert seen == {
        "q": ((1, 4, 64), "BATCHED", "bfloat16"),
        "c": ((PAGE_COUNT, 1, 64), "PAGED", "bfloat16"),
        "s": ((PAGE_COUNT, 16, 64), "PAGED", "int2"),
        "r": ((PAGE_COUNT, 1, 4), "RAGGED", "bfloat16"),
        "k": ((1, 16, 64), "PAGED", "bfloat16"),
    }
    assert (flow.c.ndim, flow.c.dim(), flow.c.size(2), flow.c.size()) == (3, 3, 64, flow.c.shape)
    assert repr(flow.r) == "vTensor(%0: ragged [S, 1, 4])"
    assert repr(PAGE_COUNT) == "S"


class Centroids(vFlow):
    """A flow of this process, in a file of its own name."""

    def __init__(self):
        super().__init__()
        self.mean, self.gemm, self.top_k, self.centroid = I.Mean(dim=1), I.GeMM(), I.topK(), C.Mean(dim=1)

    def create_cache(self, block_size, head_dim):
        return {"centroids": (1, head_dim)}

    def forward_cache(self, cache, loc, ctx):
        self.centroid(cache["k"], cache["centroids"], loc=loc, ctx=ctx)

    def forward_indexer(self, q, o, cache, ctx):
        self.top_k(self.gemm(self.mean(q, ctx=ctx), cache["centroids"], ctx=ctx), o, ctx=ctx)


def test_trace_of_a_class_and_of_an_instance(probe):
    graph = trace(Centroids, PAGE)
    assert (graph["name"], graph["shape"]) == ("Centroids", GQA)
    made = Centroids()
    assert trace(made, PAGE, "again") == graph | {"name": "again"}
    assert trace(made, PAGE._replace(page_tokens=64))["fields"] == graph["fields"]
    register("mine")(Centroids)
    assert registered() == {"mine": Centroids}
    assert trace(Centroids, PAGE)["name"] == "mine"


def test_latent_shapes():
    shape = LatentShape(page_tokens=32, kv_lora_rank=512, qk_rope_head_dim=64, heads=8, scale=0.1)
    assert (shape.head_dim, shape.group, shape.to_json()) == (576, 8, MLA)

    class Latent(vFlowMLA):
        def create_cache(self, block_size, kv_lora_rank, qk_rope_head_dim):
            assert self.page_shape is shape
            return {"centroids": (1, kv_lora_rank + qk_rope_head_dim)}

        def forward_cache(self, cache, loc, ctx):
            assert list(cache) == ["latent", "centroids"]
            C.Mean(dim=1)(cache["latent"], cache["centroids"], loc=loc, ctx=ctx)

        def forward_indexer(self, q, o, cache, ctx):
            I.topK()(I.GeMM()(I.Mean(dim=1)(q, ctx=ctx), cache["centroids"], ctx=ctx), o, ctx=ctx)

    assert trace(Latent, shape)["shape"] == MLA


# What authors do around the class: a decorator of their own, a mixin, lists of operators.
STUDY = """\
from vortex_torch.flow.flow import vFlow
from vortex_torch.flow.registry import register as plain, _REGISTRY
from vortex_torch.indexer import Add, GeMM, MaskSlice, Mean, Multiply, topK
from vortex_torch.cache import Mean as CMean

def register(name):
    def add(flow):
        if name not in _REGISTRY:
            plain(name)(flow)
        return flow
    return add

class Masked:
    PARTS = [0, 2]
    def masks(self):
        self.slices = [MaskSlice(start=16 * p, end=16 * p + 16, dim=2) for p in self.PARTS]
        self.adds = [Add() for _ in self.PARTS[1:]]
        self.times = Multiply()
    def masked(self, q, ctx):
        mask = self.slices[0](q, ctx=ctx)
        for one, add in zip(self.slices[1:], self.adds):
            mask = add(mask, one(q, ctx=ctx), ctx=ctx)
        return self.times(q, mask, ctx=ctx)

class Base(Masked, vFlow):
    def __init__(self):
        super().__init__()
        self.masks()
        self.mean = Mean(dim=1); self.gemm = GeMM(); self.end = topK(); self.reduction = CMean(dim=1)
    def forward_indexer(self, q, o, cache, ctx):
        self.end(self.gemm(self.mean(self.masked(q, ctx), ctx=ctx), cache["c"], ctx=ctx), o, ctx=ctx)
    def forward_cache(self, cache, loc, ctx):
        self.reduction(cache["k"], cache["c"], loc=loc, ctx=ctx)
    def create_cache(self, block_size, head_dim):
        return {"c": (1, head_dim)}

@register("first")
class First(Base):
    pass

@register("three")
class Three(Base):
    PARTS = [0, 1, 3]
"""


def test_a_family_of_flows_with_a_mixin(probe):
    from vortex.compat.aliases import alias_vortex_torch

    alias_vortex_torch()
    probe.write(STUDY)
    graph = probe.graph(name="three")
    assert [node["op"] for node in graph["indexer"]] == [
        "MaskSlice", "MaskSlice", "Add", "MaskSlice", "Add", "Multiply", "Mean", "GeMM", "topK"
    ]  # fmt: skip
    assert [node["start"] for node in graph["indexer"] if node["op"] == "MaskSlice"] == [0, 16, 48]
