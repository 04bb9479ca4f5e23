"""select_pages: flows on arrays, against numpy and against the reference interpreter."""

import numpy as np
import pytest
from selection_oracle import RESERVED_BOS, RESERVED_EOS, block_sparse_scores, chosen, quest_scores

import vortex.eval
from vortex import VortexConfig
from vortex.errors import ConfigurationError, InvalidArgumentError
from vortex.flow import PageShape, trace, vFlow
from vortex.indexer import GeMM, Mean, topK

PAGE, TOPK = 16, 7
CONFIG = VortexConfig(topk_val=TOPK, block_reserved_bos=RESERVED_BOS, block_reserved_eos=RESERVED_EOS)
ORACLES = {"block_sparse_attention": block_sparse_scores, "gqa_quest_sparse_attention": quest_scores}


def whole_numbers(seed, largest_key, tokens=997, heads=2, group=4, width=64):
    """Sums of these are exact in float32, in any order; keys above 256 are not exact in bfloat16."""
    random = np.random.default_rng(seed)
    keys = random.integers(-largest_key, largest_key + 1, (heads, tokens, width)).astype(np.float32)
    queries = random.integers(-3, 4, (heads, group, width)).astype(np.float32)
    return keys, -keys, queries


@pytest.mark.parametrize("backend", ["cpu", "interpreter"])
@pytest.mark.parametrize("largest_key", [1, 600])
@pytest.mark.parametrize("flow", ORACLES)
def test_numpy_selects_the_same(flow, largest_key, backend):
    keys, values, queries = whole_numbers(3, largest_key)
    selection = vortex.eval.select_pages(flow, keys, values, queries, config=CONFIG, backend=backend)
    held = -(-keys.shape[1] // PAGE)
    expected = ORACLES[flow](keys, queries, PAGE)
    assert selection.scores.shape == (2, held) and selection.scores.dtype == np.float32
    middle = slice(RESERVED_BOS, held - RESERVED_EOS)
    np.testing.assert_array_equal(selection.scores[:, middle], expected[:, middle])
    assert np.isnan(selection.scores[:, :RESERVED_BOS]).all() and np.isnan(selection.scores[:, -RESERVED_EOS:]).all()
    assert [pages.tolist() for pages in selection.pages] == [chosen(row, held, TOPK) for row in expected]


@pytest.mark.parametrize("backend", ["cpu", "interpreter"])
def test_numpy_selects_the_same_latents(backend):
    latents, _, queries = whole_numbers(5, 300, tokens=1000, heads=1, group=8, width=576)
    config = VortexConfig(topk_val=TOPK, block_reserved_eos=RESERVED_EOS, block_size=32)
    selection = vortex.eval.select_latent_pages(
        "rope_aware_block_sparse_mla", latents[0], queries[0], config=config, backend=backend
    )
    expected = block_sparse_scores(latents, queries, 32)
    middle = slice(RESERVED_BOS, 32 - RESERVED_EOS)
    np.testing.assert_array_equal(selection.scores[:, middle], expected[:, middle])
    assert [pages.tolist() for pages in selection.pages] == [chosen(expected[0], 32, TOPK)]


def test_small_whole_numbers_do_tie():
    """Else the test above would not see that ties go to the lower page."""
    keys, _, queries = whole_numbers(3, 1)
    scores = np.sort(quest_scores(keys, queries, PAGE)[0, RESERVED_BOS:-RESERVED_EOS])[::-1]
    assert scores[TOPK - 1] == scores[TOPK]


@pytest.mark.parametrize("kv_dtype, exact", [("float32", True), ("bfloat16", False), ("int8", False)])
def test_keys_are_rounded_to_the_type_of_the_cache(kv_dtype, exact):
    keys, values, queries = whole_numbers(4, 600)
    config = VortexConfig(topk_val=TOPK, block_reserved_eos=RESERVED_EOS, dtype="float32")
    result = vortex.eval.select_pages(
        "gqa_quest_sparse_attention", keys, values, queries, config=config, kv_dtype=kv_dtype
    )
    pages = keys[:, : keys.shape[1] // PAGE * PAGE].reshape(2, -1, PAGE, 64)
    high, low = pages.max(axis=2)[:, :, None], pages.min(axis=2)[:, :, None]
    bound = np.maximum(queries[:, None] * high, queries[:, None] * low).sum(axis=3).max(axis=2)
    middle = slice(RESERVED_BOS, -RESERVED_EOS)
    assert (
        np.array_equal(result.scores[:, middle], bound[:, RESERVED_BOS : result.scores.shape[1] - RESERVED_EOS])
        is exact
    )


def gaussian_arrays(attention, seed=11):
    random = np.random.default_rng(seed)
    shapes = [(2, 700, 64), (2, 700, 64), (2, 4, 64)] if attention == "gqa" else [(1100, 576), (16, 576)]
    return [random.standard_normal(shape, dtype=np.float32) for shape in shapes]


def run(attention, flow, arrays, **options):
    select = vortex.eval.select_pages if attention == "gqa" else vortex.eval.select_latent_pages
    return select(flow, *arrays, **options)


def test_there_are_29_flows():
    assert len(vortex.eval.list_flows()) == 29


@pytest.mark.parametrize("flow", vortex.eval.list_flows(), ids=lambda flow: flow.name)
def test_the_backend_selects_what_the_interpreter_does(flow):
    arrays = gaussian_arrays(flow.attention)
    config = VortexConfig(topk_val=TOPK, block_reserved_eos=2, block_size=16 if flow.attention == "gqa" else 32)
    fast = run(flow.attention, flow.name, arrays, config=config)
    slow = run(flow.attention, flow.name, arrays, config=config, backend="interpreter")
    np.testing.assert_array_equal(np.isnan(fast.scores), np.isnan(slow.scores))
    np.testing.assert_allclose(fast.scores, slow.scores, rtol=2**-7, atol=1e-3)
    assert [pages.tolist() for pages in fast.pages] == [pages.tolist() for pages in slow.pages]


class Plain(vFlow):
    def __init__(self):
        super().__init__()
        self.group, self.gemm, self.tokens, self.top_k = Mean(dim=1), GeMM(), Mean(dim=1), topK()

    def create_cache(self, block_size, head_dim):
        return {}

    def forward_cache(self, cache, loc, ctx):
        pass

    def forward_indexer(self, q, o, cache, ctx):
        logits = self.gemm(self.group(q, ctx=ctx), cache["k"], ctx=ctx)
        self.top_k(self.tokens(logits, ctx=ctx), o, ctx=ctx)


def test_a_class_its_graph_and_its_file_are_one_flow(tmp_path):
    keys, values, queries = gaussian_arrays("gqa")
    of_class = vortex.eval.select_pages(Plain, keys, values, queries, config=CONFIG)
    graph = trace(Plain, PageShape(PAGE, 64, 4, 0.125))
    of_graph = vortex.eval.select_pages(graph, keys, values, queries, config=CONFIG)
    scores = np.einsum("hd,hptd->hpt", queries.mean(axis=1), keys[:, :688].reshape(2, 43, PAGE, 64)).mean(axis=2)
    np.testing.assert_allclose(of_class.scores[:, 1:-2], scores[:, 1:42], rtol=0.02, atol=0.02)
    assert of_class.pages[0].tolist() == of_graph.pages[0].tolist()


def test_a_budget_that_holds_everything_reads_everything():
    keys, values, queries = (array[:, :100] for array in gaussian_arrays("gqa"))
    selection = vortex.eval.select_pages("block_sparse_attention", keys, values, queries)
    assert [pages.tolist() for pages in selection.pages] == [list(range(7))] * 2
    assert np.isnan(selection.scores).all()


def test_more_than_one_type_of_array_is_taken():
    keys, values, queries = gaussian_arrays("gqa")
    one = vortex.eval.select_pages("block_sparse_attention", keys, values, queries, config=CONFIG)
    other = vortex.eval.select_pages(
        "block_sparse_attention", keys.astype(np.float64), values.tolist(), np.asfortranarray(queries), config=CONFIG
    )
    np.testing.assert_array_equal(one.scores, other.scores)


@pytest.mark.parametrize(
    "change, error, parts",
    [
        ({"keys": np.zeros((2, 700), np.float32)}, InvalidArgumentError, ["keys", "[2, 700]", "3 axes"]),
        ({"keys": np.zeros((2, 0, 64), np.float32)}, InvalidArgumentError, ["keys", "empty"]),
        ({"keys": [["a"]]}, InvalidArgumentError, ["keys", "'a'"]),
        ({"flow": 3}, TypeError, ["flow", "int"]),
        ({"values": np.zeros((2, 699, 64), np.float32)}, InvalidArgumentError, ["keys and values", "64"]),
        ({"queries": np.zeros((3, 4, 64), np.float32)}, InvalidArgumentError, ["queries", "[2, 4, 64]"]),
        ({"flow": "gqa_quest_sparse_atention"}, ConfigurationError, ["gqa_quest_sparse_attention"]),
        ({"flow": "quest_mla"}, ConfigurationError, ["quest_mla", "latent"]),
        ({"flow": "missing.py"}, FileNotFoundError, ["missing.py"]),
        ({"backend": "cuda"}, ConfigurationError, ["backend", "'cuda'", "interpreter"]),
        ({"kv_dtype": "int3"}, ConfigurationError, ["kv_dtype", "'int3'", "bfloat16"]),
        ({"config": VortexConfig(block_size=24)}, ConfigurationError, ["block_size", "24"]),
        ({"config": VortexConfig(topk_val=0)}, ConfigurationError, ["topk_val", "0"]),
        ({"queries": np.full((2, 4, 64), np.nan, np.float32)}, RuntimeError, ["NaN", "2 of 2 rows"]),
    ],
)
def test_errors_say_what_is_wrong(change, error, parts):
    keys, values, queries = gaussian_arrays("gqa")
    given = {"flow": "block_sparse_attention", "keys": keys, "values": values, "queries": queries, "config": CONFIG}
    with pytest.raises(error) as caught:
        vortex.eval.select_pages(**(given | change))
    for part in parts:
        assert part in str(caught.value)


def test_fields_that_no_memory_holds_are_refused():
    """A graph from a stranger may declare them."""
    keys, values, queries = whole_numbers(3, 1, tokens=4096)
    graph = trace(Plain, PageShape(PAGE, 64, 4, 0.125))
    graph["fields"] = [{"name": f"f{i}", "rows": 1024, "cols": 1024, "storage": "float32"} for i in range(64)]
    graph["cache"] = [{"op": "Fill", "inputs": [], "field": field["name"], "alpha": 0} for field in graph["fields"]]
    with pytest.raises(MemoryError, match="512 pages of 268439552 bytes do not fit"):
        vortex.eval.select_pages(graph, keys, values, queries, config=CONFIG)


def test_an_impossible_scale_is_refused():
    keys, values, queries = gaussian_arrays("gqa")
    with pytest.raises(ConfigurationError, match="scale must be above 0, got 0"):
        vortex.eval.select_pages("block_sparse_attention", keys, values, queries, scale=0.0)


def test_a_graph_for_other_pages_is_refused():
    keys, values, queries = gaussian_arrays("gqa")
    graph = trace(Plain, PageShape(32, 64, 4, 0.125))
    with pytest.raises(ConfigurationError, match="block_size: 16: the graph is for pages of 32 tokens"):
        vortex.eval.select_pages(graph, keys, values, queries, config=CONFIG)
