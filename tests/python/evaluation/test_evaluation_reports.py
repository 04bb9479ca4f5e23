"""vortex.eval and vortex.bench: the figures of the commands, as Python objects."""

import json
import os
import signal
import threading
from pathlib import Path

import pytest
from program import MODEL, RECALL_4096, ROOT, vortex_json

import vortex
import vortex.bench
import vortex.eval
from vortex import VortexConfig
from vortex.errors import ConfigurationError, InvalidArgumentError, NotFoundError

QUEST = "gqa_quest_sparse_attention"
DOCUMENT = ROOT / "models/recall-gqa/demo/document.txt"
EOS_2 = '{"block_reserved_eos": 2}'


@pytest.fixture(scope="module")
def recalled():
    told = []
    report = vortex.eval.recall(
        MODEL,
        Path(RECALL_4096),
        flows=["dense", QUEST, "oracle"],
        topk=[6, 29],
        configs=VortexConfig(block_reserved_eos=2),
        tasks="niah_multikey",
        limit=2,
        progress=lambda done, total: told.append((done, total)),
    )
    return report, told


def test_recall_is_what_the_command_measures(recalled):
    report, _ = recalled
    command = ["eval", "recall", "--model", MODEL, "--data", RECALL_4096, "--quiet", "--tasks", "niah_multikey"]
    options = ["--limit", "2", "--vortex-config", EOS_2, "--flows", f"dense,{QUEST},oracle", "--topk", "6,29"]
    by_command = vortex_json(*command, *options)
    assert json.loads(report.to_json()) == by_command
    assert [result.name for result in report] == [entry["name"] for entry in by_command["variants"]]
    for result, entry in zip(report, by_command["variants"], strict=True):
        assert result.accuracy == entry["accuracy"] and result.count == entry["count"] == 2
        assert result.by_task == entry["by_task"] and result.by_length == {4096: result.accuracy}
        assert [*result.cells[("niah_multikey", 4096)]] == entry["cells"]["niah_multikey/4096"]
        assert result.pages_read == entry["sparsity"]["pages_read"] <= result.pages_held
        assert result.read_fraction == entry["sparsity"]["read_fraction"]
        assert result.byte_fraction == entry["bytes"]["read_fraction"]


def test_a_recall_report_is_a_sequence(recalled):
    report, told = recalled
    assert len(report) == 5 and report[0] is report.dense and report[-1].name == "oracle, topk 29"
    assert [result.series for result in report] == ["dense", QUEST, QUEST, "oracle", "oracle"]
    assert [result.control for result in report] == [False, False, False, True, True]
    assert report.flows == report[1:3]
    assert report.dense.config is None and report[1].config.topk_val == 6 and report[1].config.block_reserved_eos == 2
    assert told == [(done, 10) for done in range(11)]


def test_the_best_flow_reads_least_of_the_most_accurate(recalled):
    report, _ = recalled
    best = report.best()
    assert best in report.flows
    assert all((best.accuracy, -best.byte_fraction) >= (each.accuracy, -each.byte_fraction) for each in report.flows)


def test_a_report_prints_as_a_table(recalled):
    report, _ = recalled
    head, *lines = repr(report).splitlines()
    assert head.split() == ["variant", "accuracy", "asked", "pages", "%", "bytes", "%"]
    assert len({len(line) for line in [head, *lines]}) == 1
    assert lines[0].split() == ["dense", f"{report.dense.accuracy:.3f}", "2", "100.0", "100.0"]


def test_flows_may_be_files():
    file = ROOT / "examples/flows/block_sparse_attention.py"
    report = vortex.eval.recall(MODEL, RECALL_4096, flows=[file, "block_sparse_attention"], topk=8, limit=1)
    assert [result.config.module_path for result in report] == [str(file), None]
    assert report[0].pages_read == report[1].pages_read > 0 and report[0].accuracy == report[1].accuracy


def test_fidelity_is_what_the_command_measures():
    options = ["--tokens", "800", "--tail", "8", "--flows", f"{QUEST},random", "--topk", "12"]
    by_command = vortex_json("eval", "fidelity", "--model", MODEL, "--text", DOCUMENT, "--quiet", *options)
    told = []
    report = vortex.eval.fidelity(
        MODEL,
        DOCUMENT,
        flows=[QUEST, "random"],
        tokens=800,
        tail=8,
        topk=[12],
        progress=lambda done, total: told.append((done, total)),
    )
    assert json.loads(report.to_json()) == by_command
    assert [result.name for result in report] == ["dense", QUEST, "random"]
    assert report.best().name == QUEST and report.dense.kl == 0
    for result, entry in zip(report, by_command["variants"], strict=True):
        assert result.kl == entry["kl"] and result.perplexity == entry["perplexity"]
        assert result.attention_mass == entry["attention_mass"]["mean"]
    assert told[-1] == (816, 816) and told == sorted(told)
    assert [line.split()[0] for line in repr(report).splitlines()] == ["variant", "dense", QUEST, "random"]


def test_fidelity_takes_the_text_itself():
    text = DOCUMENT.read_text()
    given = vortex.eval.fidelity(MODEL, text, tokens=300, tail=4)
    read = vortex.eval.fidelity(MODEL, DOCUMENT, tokens=300, tail=4)
    assert given.dense.perplexity == read.dense.perplexity > 1


def test_what_progress_raises_ends_the_run():
    def refuse(done, total):
        raise LookupError(f"{done} of {total}")

    with pytest.raises(LookupError, match="0 of 1"):
        vortex.eval.recall(MODEL, RECALL_4096, limit=1, progress=refuse)


def test_ctrl_c_ends_a_run():
    """Within a prompt: no question is answered by then."""
    first = threading.Event()

    def interrupt():
        first.wait(60)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    told = []

    def progress(done, total):
        told.append(done)
        first.set()

    with pytest.raises(KeyboardInterrupt):
        vortex.eval.recall(MODEL, RECALL_4096, progress=progress)
    thread.join()
    assert told[-1] < 60


def test_ctrl_c_ends_a_benchmark_and_the_engine_lives():
    with vortex.Engine(MODEL) as engine:
        timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            vortex.bench.latency(engine, 100, 30_000)
        timer.join()
        assert vortex.bench.latency(engine, 100, 3).output_len == 3


@pytest.mark.parametrize(
    "keywords, error, parts",
    [
        ({"flows": "gqa_quest_sparse_atention"}, ConfigurationError, [QUEST]),
        ({"flows": QUEST, "topk": 0}, ConfigurationError, ["topk_val: 0"]),
        ({"flows": QUEST, "ratios": 2.0}, ConfigurationError, ["topk_ratio: 2"]),
        ({"flows": QUEST, "configs": {"topk": 3}}, ConfigurationError, ["'topk'", "topk_val"]),
        ({"flows": QUEST, "layers_skip": [6]}, ConfigurationError, ["layers_skip: 6", "0 to 5"]),
        ({"lengths": 77}, InvalidArgumentError, ["no question is left"]),
        ({"limit": 0}, ConfigurationError, ["limit: 0", "from 1"]),
        ({"flows": QUEST, "topk": 2.5}, ConfigurationError, ["topk: 2.5", "whole number"]),
        ({"flows": QUEST, "topk": 2**70}, ConfigurationError, ["topk", "whole number"]),
        ({"flows": QUEST, "ratios": "a"}, ConfigurationError, ["ratios: 'a'", "number"]),
        ({"flows": 7}, ConfigurationError, ["flows: 7", "path"]),
        ({"configs": "quest"}, ConfigurationError, ["configs: a str", "VortexConfig"]),
        ({"data": "/no/such"}, NotFoundError, ["/no/such"]),
        ({"model": "/no/model"}, NotFoundError, ["/no/model"]),
        ({"max_model_length": 3}, TypeError, ["max_model_length", "max_model_len"]),
        ({"max_model_len": 1000}, MemoryError, ["1000"]),
    ],
)
def test_recall_refuses(keywords, error, parts):
    given = {"model": MODEL, "data": RECALL_4096} | keywords
    with pytest.raises(error) as caught:
        vortex.eval.recall(**given)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "text, tokens, tail, error, parts",
    [
        ("Too short.", 100, 4, InvalidArgumentError, ["text: has", "100"]),
        ("word " * 50, 20, 20, InvalidArgumentError, ["20"]),
        ("word " * 50, 0, 4, ConfigurationError, ["tokens: 0"]),
        (Path("/no/text"), 100, 4, NotFoundError, ["/no/text"]),
    ],
)
def test_fidelity_refuses(text, tokens, tail, error, parts):
    with pytest.raises(error) as caught:
        vortex.eval.fidelity(MODEL, text, tokens=tokens, tail=tail)
    for part in parts:
        assert part in str(caught.value)


def test_latency_has_the_fields_of_the_command():
    result = vortex.bench.latency(MODEL, 200, 6, 2, vortex={"module_name": QUEST, "topk_val": 4})
    by_command = vortex_json(
        *["bench", "latency", "--model", MODEL, "--input-len", "200", "--output-len", "6", "--batch", "2"],
        *["--vortex-config", f'{{"module_name": "{QUEST}", "topk_val": 4}}'],
    )
    assert list(json.loads(result.to_json())) == list(by_command)
    assert result.sparsity == by_command["sparsity"] and result.sparsity["steps_sparse"] == 10
    assert (result.input_len, result.output_len, result.batch, result.synthetic_context) == (200, 6, 2, False)
    assert result.decode_tokens_per_s == pytest.approx(2e3 / result.itl_ms.p50)
    assert result.prefill_tokens_per_s == pytest.approx(400 / result.ttft_s)
    assert 0 < result.itl_ms.p50 <= result.itl_ms.p99 and result.machine.threads >= 1


def test_latency_of_an_engine_with_a_synthetic_context():
    with vortex.Engine(MODEL, vortex={"module_name": QUEST, "topk_val": 4}) as engine:
        first = vortex.bench.latency(engine, 4000, 5, synthetic_context=True)
        again = vortex.bench.latency(engine, 4000, 5, synthetic_context=True)
        assert first.prefill_tokens_per_s is None and first.sparsity == again.sparsity
        assert first.sparsity["pages_held"] == 4 * 6 * 2 * 251
        with pytest.raises(TypeError, match="an engine has its own"):
            vortex.bench.latency(engine, vortex={"topk_val": 3})
        with pytest.raises(InvalidArgumentError, match="bench latency: 20000 \\+ 20000 tokens"):
            vortex.bench.latency(engine, 20_000, 20_000)
        for lengths in [(0, 4), (4, 0), (4, 4, 0), (4.5, 4)]:
            with pytest.raises(ConfigurationError, match="is not a whole number from 1"):
                vortex.bench.latency(engine, *lengths)
