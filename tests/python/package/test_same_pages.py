"""Every ready-made flow, written in Python and in C++, reads the same pages of 100 random contexts."""

import json

import numpy as np
import pytest
from program import ROOT

import vortex
from vortex import _native

INPUTS = 100
FLOWS = {name: attention for name, attention, _ in _native.list_flows()}
SHAPES = {
    "gqa": {"page_tokens": 16, "group": 4, "head_dim": 64, "attention": "gqa", "scale": 0.125},
    "mla": {"page_tokens": 16, "group": 8, "head_dim": 576, "attention": "mla", "kv_lora_rank": 512, "scale": 0.1},
}


def file_of(name):
    (file,) = (f for f in (ROOT / "examples/flows").glob("*.py") if f'@register("{name}")' in f.read_text())
    return str(file)


def graphs_of(name):
    shape = json.dumps(SHAPES[FLOWS[name]])
    return [json.loads(_native.trace_flow(path, name, shape)) for path in (file_of(name), None)]


def select(graph, random, config):
    tokens = int(random.integers(200, 420))
    if "kv_lora_rank" in graph["shape"]:
        latents, queries = random.standard_normal((tokens, 576)), random.standard_normal((8, 576))
        return vortex.eval.select_latent_pages(graph, latents, queries, config=config, scale=0.1)
    keys, values, queries = (random.standard_normal((2, n, 64)) for n in (tokens, tokens, 4))
    return vortex.eval.select_pages(graph, keys, values, queries, config=config)


@pytest.mark.parametrize("name", FLOWS)
def test_both_read_the_same_pages(name):
    config = vortex.VortexConfig(topk_val=5, block_reserved_eos=2)
    python, cpp = graphs_of(name)
    chosen = set()
    for seed in range(INPUTS):
        mine, theirs = (select(graph, np.random.default_rng(seed), config) for graph in (python, cpp))
        assert [list(row) for row in mine.pages] == [list(row) for row in theirs.pages]
        np.testing.assert_array_equal(mine.scores, theirs.scores)
        assert all(len(row) == 8 and row[0] == 0 for row in mine.pages)
        chosen.update(tuple(row) for row in mine.pages)
    assert len(chosen) > INPUTS / 2  # it depends on the input
