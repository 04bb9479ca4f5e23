"""The eval commands: many variants after one prefill, RULER's protocol, fidelity on any text, plots."""

import gzip
import json
import xml.etree.ElementTree as ElementTree

import pytest
from program import MODEL, RECALL_4096, ROOT, assert_refused, vortex, vortex_json

FAILED, USAGE, CONFIGURATION = 1, 2, 78
QUEST = "gqa_quest_sparse_attention"
RECALL = ["eval", "recall", "--model", MODEL, "--data", RECALL_4096, "--quiet"]
DOCUMENT = ROOT / "models/recall-gqa/demo/document.txt"
FIDELITY = ["eval", "fidelity", "--model", MODEL, "--text", DOCUMENT, "--quiet"]
BASE = ["--vortex-config", '{"block_reserved_eos": 2}']


def variants(result):
    return {entry["name"]: entry for entry in result["variants"]}


def without(entry, *keys):
    return {key: value for key, value in entry.items() if key not in keys}


def test_variants_are_what_single_runs_give():
    narrow = ["--tasks", "niah_multikey", "--limit", "2"]
    together = variants(vortex_json(*RECALL, *narrow, *BASE, "--flows", f"dense,{QUEST}", "--topk", "6,29"))
    assert list(together) == ["dense", f"{QUEST}, topk 6", f"{QUEST}, topk 29"]
    for name, topk in [(f"{QUEST}, topk 6", 6), (f"{QUEST}, topk 29", 29)]:
        alone = vortex_json(*RECALL, *narrow, *BASE, "--flow", QUEST, "--topk", str(topk))
        assert without(together[name], "name", "bytes") == alone
        assert alone["config"]["vortex"]["topk_val"] == topk
        assert alone["sparsity"]["steps_dense"] == 0
    assert together["dense"]["config"]["vortex"] is None
    assert together["dense"]["sparsity"]["active"] is False
    assert together["dense"]["accuracy"] == 1.0
    assert together[f"{QUEST}, topk 29"]["cells"] == {"niah_multikey/4096": [2, 2]}


def test_bytes_are_pages_and_metadata():
    result = variants(vortex_json(*RECALL, "--limit", "1", *BASE, "--flows", f"{QUEST},random", "--topk", "6"))
    quest, random = result[QUEST], result["random"]
    # Two bounds of 64 bfloat16 a page; K and V of 16 tokens.
    assert (quest["bytes"]["metadata_per_page"], quest["bytes"]["kv_per_page"]) == (256, 4096)
    assert random["bytes"]["metadata_per_page"] == random["bytes"]["metadata_read"] == 0
    for entry in (quest, random):
        assert entry["bytes"]["kv_read"] == entry["sparsity"]["pages_read"] * 4096
        assert entry["bytes"]["kv_held"] == entry["sparsity"]["pages_held"] * 4096
    scored = quest["sparsity"]["pages_held"] - 2 * quest["sparsity"]["steps_sparse"] * 6 * 2
    assert quest["bytes"]["metadata_read"] == scored * 256
    read = quest["bytes"]["metadata_read"] + quest["bytes"]["kv_read"]
    assert quest["bytes"]["read_fraction"] == pytest.approx(read / quest["bytes"]["kv_held"])


def test_names_tell_what_differs():
    options = ["--flows", f"{QUEST},oracle", "--block-size", "16,8", "--layers-skip", "0,1", *BASE]
    result = vortex_json(*RECALL, "--limit", "1", *options)["variants"]
    assert [entry["name"] for entry in result] == [
        f"{QUEST}, page 16, bos 1 eos 2, topk 30",
        f"{QUEST}, page 8, bos 2 eos 4, topk 60",
        "oracle, page 16, bos 1 eos 2, topk 30",
        "oracle, page 8, bos 2 eos 4, topk 60",
    ]
    for entry in result:
        assert entry["sparsity"]["layers_sparse"] == [2, 3, 4, 5]
        assert entry["sparsity"]["pages_read"] * entry["sparsity"]["page_size"] % (33 * 16) == 0


def test_configs_may_be_several():
    one, other = '{"module_name": "block_sparse_attention", "topk_val": 4}', f'{{"module_name": "{QUEST}"}}'
    result = vortex_json(*RECALL, "--limit", "1", "--vortex-config", one, "--vortex-config", other)["variants"]
    assert [entry["config"]["vortex"]["topk_val"] for entry in result] == [4, 30]
    repeated = vortex_json(*RECALL, "--limit", "1", "--vortex-config", one, "--vortex-config", one)
    assert repeated["config"]["vortex"]["topk_val"] == 4, "the same twice is one variant"


def test_table_has_a_line_a_variant():
    outcome = vortex(*RECALL, "--limit", "1", "--flows", f"dense,{QUEST}", "--topk", "6")
    assert outcome.status == 0 and outcome.err == ""
    head, *lines = outcome.out.splitlines()
    assert head.split() == ["variant", "accuracy", "right", "asked", "pages", "%", "bytes", "%"]
    assert [line.split()[0] for line in lines] == ["dense", QUEST]
    assert lines[0].split()[-2:] == ["100.0", "100.0"]


def test_plot_is_svg(tmp_path):
    plot = tmp_path / "plot.svg"
    options = ["--flows", f"dense,{QUEST},random", "--topk", "6,29", "--plot", plot]
    assert vortex(*RECALL, "--limit", "1", *options).status == 0
    tree = ElementTree.parse(plot)
    svg = "{http://www.w3.org/2000/svg}"
    words = [text.text for text in tree.iter(f"{svg}text")]
    assert {QUEST, "random", "accuracy", "pages read, of those held"} <= set(words)
    assert sum("dense" in word for word in words) == 2  # the axis and the legend
    assert len(list(tree.iter(f"{svg}polyline"))) == 4  # two flows in two panels
    assert len(list(tree.iter(f"{svg}circle"))) == 2 * 2 * 2 + 2


@pytest.fixture
def ruler_data(tmp_path):
    """The shipped questions in RULER's form."""
    path = tmp_path / "validation.jsonl"
    with gzip.open(RECALL_4096, "rt") as rows, open(path, "w") as out:
        for row in list(map(json.loads, rows))[:3]:
            out.write(json.dumps({"input": row["messages"][0]["content"], "outputs": [row["answer"], "-"]}) + "\n")
    return path


def test_ruler_json(ruler_data):
    command = ["eval", "ruler", "--model", MODEL, "--data", ruler_data, "--quiet", "--kv-cache-memory-bytes", "64Mi"]
    result = vortex_json(*command)
    assert list(result) == ["accuracy", "count", "e2e_time", "total_tokens", "throughput", "sparsity", "config"]
    assert result["count"] == 3 and result["accuracy"] * 3 == pytest.approx(round(result["accuracy"] * 3))
    assert 3 < result["total_tokens"] <= 3 * 64
    assert result["throughput"] == pytest.approx(result["total_tokens"] / result["e2e_time"])
    assert result["config"] == {
        "model": MODEL,
        "max_new_tokens": 64,
        "temperature": 0.6,
        "top_p": 0.95,
        "top_k": 20,
        "seed": 0,
        "vortex": None,
    }
    same = vortex_json(*command, "--max-num-seqs", "1")
    assert (same["accuracy"], same["total_tokens"]) == (result["accuracy"], result["total_tokens"])
    greedy = vortex_json(*command, "--limit", "1", "--temperature", "0", "--max-tokens", "5", "--flow", QUEST)
    assert greedy["total_tokens"] <= 5 and greedy["config"]["temperature"] == 0.0
    assert greedy["sparsity"]["flow"] == QUEST and greedy["sparsity"]["steps_sparse"] > 0


def test_fidelity_json():
    options = ["--tokens", "1500", "--tail", "16", "--flows", f"all,oracle,random,{QUEST}", "--topk", "12", *BASE]
    result = vortex_json(*FIDELITY, *options)
    assert result["config"] == {"model": MODEL, "text": str(DOCUMENT), "tokens": 1500, "tail": 16}
    entries = variants(result)
    assert list(entries) == ["dense", "all", "oracle", "random", QUEST]
    dense, every = entries["dense"], entries["all"]
    assert list(dense) == [
        "name",
        "kl",
        "perplexity",
        "top_token_agreement",
        "attention_mass",
        "sparsity",
        "bytes",
        "vortex",
    ]
    assert dense["kl"] == 0.0 and dense["top_token_agreement"] == 1.0 and dense["perplexity"] > 1
    assert every["kl"] < 1e-4 and every["perplexity"] == pytest.approx(dense["perplexity"])
    assert every["sparsity"]["pages_read"] == every["sparsity"]["pages_held"]
    assert 0 < entries["oracle"]["kl"] < entries["random"]["kl"]
    mass = {name: entry["attention_mass"]["mean"] for name, entry in entries.items()}
    assert mass["all"] == pytest.approx(1.0) and mass["dense"] == 1.0
    assert mass["all"] > mass["oracle"] > mass[QUEST] > mass["random"] > 0
    assert len(entries[QUEST]["attention_mass"]["by_layer"]) == 6
    assert entries[QUEST]["sparsity"]["steps_sparse"] == 16


def test_fidelity_table_from_a_pipe():
    command = ["eval", "fidelity", "--model", MODEL, "--text", "-", "--tokens", "600", "--tail", "2", "--flow", QUEST]
    outcome = vortex(*command, stdin=DOCUMENT.read_text()[:8000])
    assert outcome.status == 0, outcome.err
    assert [line.split()[0] for line in outcome.out.splitlines()] == ["variant", "dense", QUEST]
    assert "tokens" in outcome.err


@pytest.mark.parametrize(
    "arguments, status, parts",
    [
        ([*RECALL, "--plot", "out.png"], USAGE, ["--plot", "out.png", ".svg"]),
        ([*RECALL, "--flows", "dense,gqa_quest_sparse_atention"], CONFIGURATION, ["did you mean", QUEST]),
        ([*RECALL, "--flows", QUEST, "--topk", "0"], CONFIGURATION, ["topk_val: 0"]),
        ([*RECALL, "--flows", QUEST, "--ratio", "2"], CONFIGURATION, ["topk_ratio: 2"]),
        ([*RECALL, "--flows", QUEST, "--block-size", "24"], CONFIGURATION, ["block_size: 24"]),
        ([*RECALL, "--flows", QUEST, "--block-size", "0"], CONFIGURATION, ["block_size: 0"]),
        ([*RECALL, "--flows", QUEST, "--layers-skip", "6"], CONFIGURATION, ["layers_skip: 6", "0 to 5"]),
        ([*RECALL, "--topk", "6"], CONFIGURATION, ["module_name", "vortex flow list"]),
        ([*RECALL, "--flows", QUEST, "--vortex-config", ""], CONFIGURATION, ["--vortex-config", "not valid JSON"]),
        ([*RECALL, "--flows", QUEST, "--page-size", "24"], CONFIGURATION, ["--page-size", "24", "16"]),
        ([*RECALL, "--max-model-len", "1000"], FAILED, ["tokens", "1000"]),
        ([*FIDELITY, "--tokens", "20", "--tail", "20"], USAGE, ["--tail", "20 of 20"]),
        ([*FIDELITY, "--tokens", "30000", "--tail", "20"], FAILED, [DOCUMENT, "30000"]),
        ([*FIDELITY, "--tokens", "2"], USAGE, ["--tokens"]),
        (["eval", "fidelity", "--model", MODEL, "--text", "/no/such"], FAILED, ["/no/such", "cannot be read"]),
        (["eval", "ruler", "--model", MODEL, "--data", "/no/such"], FAILED, ["/no/such"]),
        (["eval", "ruler", "--model", MODEL, "--data", "/dev/null"], FAILED, ["/dev/null", "no question"]),
        (["eval", "ruler", "--model", MODEL], USAGE, ["--data is required"]),
    ],
)
def test_refusals(arguments, status, parts):
    assert_refused(vortex(*arguments), status, *parts)


@pytest.mark.parametrize("row", ["{", "[1]", '{"input": "x"}', '{"input": "x", "outputs": []}', '{"outputs": ["x"]}'])
def test_ruler_errors_name_the_line(ruler_data, row):
    with open(ruler_data, "a") as out:
        out.write(row + "\n")
    assert_refused(vortex("eval", "ruler", "--model", MODEL, "--data", ruler_data, "-q"), FAILED, f"{ruler_data}:4")
