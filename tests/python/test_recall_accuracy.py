"""Accuracy of recall-gqa under the measured flows, against an independent PyTorch implementation."""

import json

import pytest
from program import MODEL, RECALL_4096, vortex_json

# Right answers of 60 at 4096 tokens; block 16, topk 29, bos 1, eos 2, no layer skipped, greedy.
PEER = {
    None: 51,
    "block_sparse_attention": 27,
    "gqa_block_sparse_attention": 30,
    "gqa_quest_sparse_attention": 35,
}
TOLERANCE = 0.05


def evaluate(flow, *options):
    if flow:
        config = {"module_name": flow, "topk_val": 29, "block_reserved_eos": 2}
        options += ("--vortex-config", json.dumps(config))
    command = ["eval", "recall", "--model", MODEL, "--data", RECALL_4096, "--quiet", *options]
    return vortex_json(*command, timeout=1800)


@pytest.mark.parametrize("flow", [None, "gqa_quest_sparse_attention"])
def test_rows_that_the_peer_answers(flow):
    result = evaluate(flow, "--tasks", "niah_multikey", "--limit", "2")
    assert result["cells"] == {"niah_multikey/4096": [2, 2]}
    assert result["sparsity"]["active"] == (flow is not None)
    assert result["sparsity"]["steps_dense"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("flow", PEER)
def test_accuracy_is_the_peers(flow):
    result = evaluate(flow)
    assert result["count"] == 60
    assert result["accuracy"] == pytest.approx(PEER[flow] / 60, abs=TOLERANCE)
    if flow:
        assert result["sparsity"]["steps_dense"] == 0
        assert 0.1 < result["sparsity"]["read_fraction"] < 0.15
