"""What the commands print: data on stdout, in the shape that scripts rely on."""

import os
import pty
import re
import signal
import subprocess

import pytest
from program import MODEL, PROGRAM, RECALL_4096, environment, vortex, vortex_json

FACTS = "The secret word for green apple is river. The secret word for old stone is candle. "
QUESTION = FACTS + "What is the secret word for old stone?"
ANSWER = "The secret word for old stone is candle."
SPARSITY = {
    "active": bool,
    "flow": (str, type(None)),
    "page_size": int,
    "pages_held": int,
    "pages_read": int,
    "read_fraction": float,
    "steps_sparse": int,
    "steps_dense": int,
    "layers_sparse": list,
}
RUN = {
    "text": str,
    "finish_reason": str,
    "usage": {"prompt_tokens": int, "completion_tokens": int, "cached_tokens": int},
    "timings": {
        "load_s": float,
        "prefill_s": float,
        "ttft_s": float,
        "decode_s": float,
        "decode_tokens_per_s": float,
        "prefill_tokens_per_s": float,
    },
    "sparsity": SPARSITY,
}


def assert_shape(value, shape):
    """Exactly the keys of `shape`, with values of its types."""
    assert list(value) == list(shape)
    for key, expected in shape.items():
        if isinstance(expected, dict):
            assert_shape(value[key], expected)
        else:
            types = expected if isinstance(expected, tuple) else (expected,)
            assert type(value[key]) in types, key


def test_run_prints_the_answer():
    outcome = vortex("run", MODEL, QUESTION)
    assert (outcome.status, outcome.out) == (0, ANSWER + "\n")
    assert "prompt tokens" in outcome.err
    assert vortex("run", MODEL, QUESTION, "--quiet").err == ""


def test_run_json_dense():
    result = vortex_json("run", MODEL, QUESTION)
    assert_shape(result, RUN)
    assert result["text"] == ANSWER
    assert result["finish_reason"] == "stop"
    assert result["usage"]["completion_tokens"] > 1
    assert result["sparsity"] | {"read_fraction": 1.0} == result["sparsity"]
    assert not result["sparsity"]["active"]
    assert result["sparsity"]["flow"] is None


def test_run_json_sparse():
    config = '{"module_name": "gqa_quest_sparse_attention", "topk_val": 4, "layers_skip": [0]}'
    document = "Nothing of note happened on that day. " * 40
    result = vortex_json("run", MODEL, document + QUESTION, "--vortex-config", config, "-n", "8", "--ignore-eos")
    assert_shape(result, RUN)
    sparsity = result["sparsity"]
    assert sparsity["active"] and sparsity["flow"] == "gqa_quest_sparse_attention"
    assert sparsity["layers_sparse"] == [1, 2, 3, 4, 5]
    assert sparsity["steps_sparse"] == 7 and sparsity["steps_dense"] == 0
    assert sparsity["pages_read"] == 7 * 5 * 2 * 6  # steps, layers, kv heads, topk + bos + eos
    assert sparsity["read_fraction"] == pytest.approx(sparsity["pages_read"] / sparsity["pages_held"])
    assert result["usage"]["completion_tokens"] == 8 and result["finish_reason"] == "length"


def test_flow_is_short_for_the_module_name():
    result = vortex_json("run", MODEL, QUESTION, "--flow", "block_sparse_attention")
    assert result["sparsity"]["flow"] == "block_sparse_attention"
    assert result["sparsity"]["steps_sparse"] == 0, "a short prompt is dense"
    assert result["text"] == ANSWER


def test_prompt_from_a_pipe_and_from_a_file(tmp_path):
    assert vortex("run", MODEL, stdin=QUESTION).out == ANSWER + "\n"
    assert vortex("run", MODEL, "-", stdin=QUESTION).out == ANSWER + "\n"
    document = tmp_path / "document.txt"
    document.write_text(FACTS + "\n")
    question = "What is the secret word for old stone?"
    assert vortex("run", MODEL, question, "--file", document).out == ANSWER + "\n"


def test_sampling_repeats_with_its_seed():
    options = ["--temperature", "3", "-n", "24", "--ignore-eos"]
    first, again, other = (
        vortex("run", MODEL, QUESTION, *options, "--sampling-seed", seed).out for seed in (5, 5, 6)
    )
    assert first == again != other


def test_stop_text_is_cut_off():
    assert vortex("run", MODEL, QUESTION, "--stop", " old stone").out == "The secret word for\n"


def test_settings_come_from_flag_then_environment_then_file(tmp_path):
    config = tmp_path / "settings.json"
    config.write_text('{"threads": 1, "max_model_len": 2000}')
    bench = ["bench", "latency", "--model", MODEL, "--input-len", "8", "--output-len", "2", "--config", config]
    assert vortex_json(*bench)["machine"]["threads"] == 1
    assert vortex_json(*bench, VORTEX_THREADS="2")["machine"]["threads"] == 2
    assert vortex_json(*bench, "--threads", "3", VORTEX_THREADS="2")["machine"]["threads"] == 3


@pytest.mark.parametrize("synthetic", [False, True])
def test_bench_latency_json(synthetic):
    options = ["--synthetic-context"] if synthetic else []
    lengths = ["--input-len", "700", "--output-len", "4", "--batch", "2"]
    result = vortex_json("bench", "latency", "--model", MODEL, *lengths, "--flow", "block_sparse_attention", *options)
    assert result["input_len"] == 700 and result["output_len"] == 4 and result["batch"] == 2
    assert (result["prefill_tokens_per_s"] is None) == synthetic
    assert result["decode_tokens_per_s"] > 0 and result["ttft_s"] > 0
    assert 0 < result["itl_ms"]["p50"] <= result["itl_ms"]["p99"]
    assert result["attention_ms"] > 0 and result["selection_ms"] > 0
    assert result["attention_ms"] + result["selection_ms"] < result["itl_ms"]["p99"]
    assert_shape(result["sparsity"], SPARSITY)
    assert result["sparsity"]["pages_held"] == 2 * 3 * 6 * 2 * 44  # sequences, steps, layers, kv heads, pages
    assert {"cpu", "threads", "memory_bytes"} <= set(result["machine"])


def test_bench_throughput_json():
    sizes = ["--num-prompts", "5", "--input-len", "40", "--output-len", "8"]
    result = vortex_json("bench", "throughput", "--model", MODEL, "--device", "cpu", *sizes)
    assert (result["num_prompts"], result["input_len"], result["output_len"]) == (5, 40, 8)
    assert result["requests_per_s"] == pytest.approx(5 / result["elapsed_s"])
    assert result["output_tokens_per_s"] == pytest.approx(40 / result["elapsed_s"])
    assert result["total_tokens_per_s"] == pytest.approx(240 / result["elapsed_s"])
    assert result["device"] == "cpu" and result["preemptions"] == 0
    assert_shape(result["sparsity"], SPARSITY)


def test_eval_recall_json():
    options = ["--tasks", "niah_needles,niah_single", "--limit", "2", "--quiet"]
    result = vortex_json("eval", "recall", "--model", MODEL, "--data", RECALL_4096, *options)
    assert list(result) == ["accuracy", "count", "by_task", "by_length", "cells", "sparsity", "config"]
    assert result["count"] == 2
    assert result["cells"] == {"niah_single/4096": [2, 2]}
    assert result["by_task"] == {"niah_single": 1.0} and result["by_length"] == {"4096": 1.0}
    assert result["accuracy"] == 1.0
    assert_shape(result["sparsity"], SPARSITY)
    assert result["config"]["vortex"] is None


def test_inspect_json():
    result = vortex_json("inspect", MODEL)
    assert result["architecture"] == "Qwen3ForCausalLM" and result["format"] == "safetensors"
    assert (result["layers"], result["heads"], result["kv_heads"], result["head_dim"]) == (6, 8, 2, 64)
    assert result["parameters"] == 11605632 and result["context"] == 32768
    embedding = {t["name"]: t for t in result["tensors"]}["model.embed_tokens.weight"]
    assert embedding["shape"] == "[4096, 384]" and embedding["bytes"] == 4096 * 384 * 2
    assert "--tensors" in vortex("inspect", MODEL).out
    latent = vortex_json("inspect", "recall-mla")
    assert (latent["latent_rank"], latent["experts"], latent["experts_per_token"]) == (512, 8, 2)
    assert latent["kv_bytes_per_token"] == 6 * 576 * 2


def test_list_json():
    models = {model["name"]: model for model in vortex_json("list")}
    assert models["recall-gqa"]["source"] == "shipped"
    assert os.path.samefile(models["recall-gqa"]["path"], MODEL)
    assert models["recall-gqa"]["bytes"] > 20_000_000


def test_flow_list_is_one_name_a_line():
    names = vortex("flow", "list").out.splitlines()
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in names)
    assert {"block_sparse_attention", "gqa_block_sparse_attention", "gqa_quest_sparse_attention"} <= set(names)
    assert [flow["name"] for flow in vortex_json("flow", "list")] == names


def test_version_and_help():
    assert re.fullmatch(r"vortex \d+\.\d+\.\d+\n", vortex("version").out)
    assert vortex("--version").out == vortex("version").out
    assert "Usage: vortex" in vortex().out
    assert "VORTEX_MAX_MODEL_LEN" in vortex("run", "--help").out


def test_doctor_json():
    result = vortex_json("doctor")
    assert result["threads"] >= 1 and result["memory_bytes"] > 1 << 30
    assert "recall-gqa" in result["models"] and "block_sparse_attention" in result["flows"]


def test_chat_answers_lines_and_obeys_commands():
    lines = [QUESTION, "/stats", "/clear", "", QUESTION, "/nonsense", "/exit", "never read"]
    outcome = vortex("chat", MODEL, stdin="\n".join(lines) + "\n")
    assert (outcome.status, outcome.out) == (0, f"{ANSWER}\n{ANSWER}\n")
    assert "prompt tokens" in outcome.err and "/nonsense is not known" in outcome.err
    assert vortex("chat", MODEL).status == 0, "end of input ends the chat"


def test_chat_survives_a_turn_that_does_not_fit():
    outcome = vortex("chat", MODEL, "--max-model-len", "60", stdin=f"{'word ' * 200}\n/clear\n{QUESTION}\n")
    assert (outcome.status, outcome.out) == (0, ANSWER + "\n")
    assert "the context holds 60" in outcome.err


def terminal_output(**variables):
    """What a run writes to a terminal on stderr."""
    reader, writer = pty.openpty()
    process = subprocess.Popen(
        [PROGRAM, "run", MODEL, QUESTION], stdout=subprocess.DEVNULL, stderr=writer, env=environment(**variables)
    )
    os.close(writer)
    written = b""
    try:
        while chunk := os.read(reader, 4096):
            written += chunk
    except OSError:  # the other end is closed
        pass
    os.close(reader)
    assert process.wait(60) == 0
    return written.decode()


def test_no_color():
    assert "prefill" in terminal_output(NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*m", terminal_output(NO_COLOR="1"))


@pytest.mark.parametrize("as_json", [False, True])
def test_interrupt_ends_with_130(as_json):
    command = [PROGRAM, "run", MODEL, QUESTION, "--ignore-eos", "-n", "30000", "--temperature", "1"]
    process = subprocess.Popen(
        command + (["--json"] if as_json else []),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    process.stderr.readline()  # "prefill: ...": generation has begun
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in err
    if as_json:
        assert out == ""
