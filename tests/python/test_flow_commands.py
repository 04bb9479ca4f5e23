"""flow check and flow explain, as a user runs them."""

import json

import pytest
from program import MODEL, vortex, vortex_json

CONFIGURATION = 78


def test_check_a_flow_for_a_model():
    outcome = vortex("flow", "check", "gqa_quest_sparse_attention", "--model", MODEL)
    assert outcome.status == 0, outcome.err
    assert "compiles for group 4, head_dim 64, block_size 16; scoring reads 256 bytes a page" in outcome.out
    assert "sweep" not in outcome.out


def test_check_sweeps_without_a_model():
    outcome = vortex("flow", "check", "lserve_sparse_attention")
    assert outcome.status == 0, outcome.err
    assert "warning: lserve_sparse_attention: block_size 4, 8:" in outcome.out
    assert "60 of 90 shapes compile" in outcome.out


@pytest.mark.parametrize(
    "config, part",
    [
        ({"module_name": "lserve_sparse_attention", "block_size": 8}, "larger block_size"),
        ({"module_name": "block_sparse_attention", "layers_skip": [6]}, "layers_skip: 6"),
        ({"module_name": "quest"}, "did you mean 'gqa_quest_sparse_attention'?"),
        ({"topk_val": 3}, "no flow is named"),
    ],
)
def test_check_finds_what_is_wrong_with_a_config(tmp_path, config, part):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    outcome = vortex("flow", "check", path, "--model", MODEL)
    assert outcome.status == CONFIGURATION
    assert outcome.out.startswith("error: ") and part in outcome.out
    assert outcome.err == f"vortex: {path}: 1 problem (listed above)\n"


def test_check_as_json_says_what_is_odd():
    config = '{"module_name": "block_sparse_attention", "layers_skip": [0, 1, 2, 3, 4, 5]}'
    report = vortex_json("flow", "check", config, "--model", MODEL)
    assert report["findings"][0]["severity"] == "warning"
    assert report["findings"][0]["where"] == "layers_skip"


def test_explain_shows_what_the_passes_did():
    text = vortex("flow", "explain", "centered_block_sparse_attention").out
    for part in ["As written", "shift at ", "As run", "Rounding", "scoring reads 256 bytes a page", "predicted for 4096"]:
        assert part in text


def test_explain_as_json():
    on = vortex_json("flow", "explain", "centered_block_sparse_attention", "--model", MODEL)
    off = vortex_json("flow", "explain", "centered_block_sparse_attention", "--model", MODEL, "--passes-off", "rewrite")
    assert on["shape"] == {"attention": "gqa", "group": 4, "head_dim": 64, "block_size": 16}
    assert len(on["forward_indexer"]["groups"]) == 2 and len(off["forward_indexer"]["groups"]) == 4
    assert on["cost"]["metadata_bytes_per_page"] == 128
    assert on["cost"]["predicted_us_per_row"] < off["cost"]["predicted_us_per_row"]


def test_explain_refuses_unknown_passes():
    outcome = vortex("flow", "explain", "block_sparse_attention", "--passes-off", "rewrit")
    assert outcome.status == CONFIGURATION and "no pass 'rewrit'" in outcome.err
