"""Every fault of the user: the exit status, and one line that says what, where and what to do."""

import json
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from program import MODEL, PROGRAM, RECALL_4096, assert_refused, vortex

USAGE, FAILED, CONFIGURATION = 2, 1, 78


@pytest.fixture
def model(tmp_path):
    """A copy of recall-gqa to spoil."""
    folder = tmp_path / "model"
    shutil.copytree(MODEL, folder, ignore=shutil.ignore_patterns("demo", "eval*"))
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder


@pytest.mark.parametrize(
    "arguments, parts",
    [
        (["runn"], ["'runn' is not known", "did you mean 'run'?"]),
        (["run", MODEL, "hi", "--max-token", "5"], ["'--max-token'", "did you mean '--max-tokens'?"]),
        (["run", MODEL, "hi", "there"], ["run: 'there' is not known", "vortex run --help"]),
        (["run"], ["model is required", "vortex run --help"]),
        (["run", MODEL], ["no prompt"]),
        (["flow", "lisst"], ["'lisst'", "did you mean 'list'?"]),
        (["bench"], ["bench:", "vortex bench --help"]),
        (["run", MODEL, "hi", "--max-tokens", "abc"], ["--max-tokens", "abc"]),
        (["run", MODEL, "hi", "--max-tokens", "0"], ["max_tokens", "at least 1"]),
        (["run", MODEL, "hi", "--temperature", "nan"], ["temperature", "0 to 100"]),
        (["run", MODEL, "hi", "--dtype", "float31"], ["--dtype", "'float31'", "did you mean 'float32'?"]),
        (["run", MODEL, "hi", "--quantize", "q8_1"], ["--quantize", "'q8_1'", "did you mean 'q8_0'?"]),
        (["run", MODEL, "hi", "--page-size", "0"], ["--page-size", "1 to 4096"]),
        (["run", MODEL, "hi", "--threads", "0"], ["--threads", "1 to 1024"]),
        (["run", MODEL, "hi", "--kv-cache-memory-bytes", "1000"], ["--kv-cache-memory-bytes", "65536"]),
        (["bench", "latency", "--model", MODEL, "--input-len", "0"], ["bench latency: --input-len"]),
        (["eval", "recall", "--model", MODEL], ["--data is required"]),
    ],
)
def test_usage(arguments, parts):
    assert_refused(vortex(*arguments), USAGE, *parts)


@pytest.mark.parametrize(
    "config, parts",
    [
        ('{"topk_val": }', ["--vortex-config", "not valid JSON"]),
        ("", ["--vortex-config", "not valid JSON"]),
        ("[]", ["--vortex-config", "not a JSON object"]),
        ('{"topk_vall": 3}', ["topk_vall", "did you mean topk_val?"]),
        ('{"topk_val": "many"}', ["topk_val", '"many"', "whole number"]),
        ('{"topk_val": 0}', ["topk_val: 0", "1 to"]),
        ('{"topk_ratio": 1.5}', ["topk_ratio: 1.5", "0 to 1"]),
        ('{"block_size": 24}', ["block_size: 24", "power of two"]),
        ('{"topk_val": 3}', ["module_name", "vortex flow list"]),
        ('{"module_name": "quest"}', ["module_name", "'quest'"]),
        ('{"module_name": "block_sparse_attention", "layers_skip": [6]}', ["layers_skip: 6", "0 to 5"]),
        ("@/no/such/config.json", ["/no/such/config.json"]),
    ],
)
def test_vortex_config(config, parts):
    assert_refused(vortex("run", MODEL, "hi", "--vortex-config", config), CONFIGURATION, *parts)


def test_unknown_flow_names_the_nearest():
    outcome = vortex("run", MODEL, "hi", "--flow", "gqa_quest_sparse_atention")
    assert_refused(outcome, CONFIGURATION, "gqa_quest_sparse_atention", "did you mean 'gqa_quest_sparse_attention'?")


def test_an_empty_flow_is_not_dense():
    assert_refused(vortex("run", MODEL, "hi", "--flow", ""), CONFIGURATION, "module_name", "vortex flow list")


def test_page_size_and_block_size_must_fit():
    outcome = vortex("run", MODEL, "hi", "--flow", "block_sparse_attention", "--page-size", "24")
    assert_refused(outcome, CONFIGURATION, "--page-size", "24", "16")


def test_environment_and_config_file(tmp_path):
    assert_refused(vortex("run", MODEL, "hi", VORTEX_THREADS="abc"), CONFIGURATION, "VORTEX_THREADS", "'abc'")
    config = tmp_path / "settings.json"
    assert_refused(vortex("run", MODEL, "hi", "--config", config), CONFIGURATION, config)
    for text, part in [("{", "JSON"), ('{"threds": 2}', "did you mean 'threads'?"), ('{"threads": "x"}', "'x'")]:
        config.write_text(text)
        assert_refused(vortex("run", MODEL, "hi", "--config", config), CONFIGURATION, config, part)


def test_context_and_memory_limits_name_both_numbers():
    prompt = "one two three four five six seven eight nine ten"
    assert_refused(vortex("run", MODEL, prompt, "--max-model-len", "16"), FAILED, "the prompt has", "16")
    assert_refused(vortex("run", MODEL, "hi", "--max-model-len", "99999"), CONFIGURATION, "99999", "32768")
    outcome = vortex("bench", "latency", "--model", MODEL, "--input-len", "32000", "--output-len", "1000")
    assert_refused(outcome, FAILED, "32000 + 1000", "32768")
    small = ["--kv-cache-memory-bytes", "1000000"]
    outcome = vortex("run", MODEL, "word " * 2000, *small)
    assert_refused(outcome, FAILED, "the KV memory holds 320", "--kv-cache-memory-bytes")


def test_a_full_disk_is_a_failure():
    with open("/dev/full", "w") as full:
        done = subprocess.run([PROGRAM, "flow", "list"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == FAILED and "standard output: cannot be written" in done.stderr


def test_no_such_model():
    assert_refused(vortex("run", "nosuch", "hi"), FAILED, "nosuch", "recall-gqa")
    assert_refused(vortex("inspect", "/no/such/folder"), FAILED, "/no/such/folder")
    assert_refused(vortex("run", MODEL, "hi", "--file", "/no/such/text"), FAILED, "/no/such/text")


@pytest.mark.parametrize("size", [0, 4, 100, 2_000_000, 12_000_000])
def test_truncated_safetensors(model, size):
    shard = model / "model-00001-of-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[:size])
    assert_refused(vortex("run", model, "hi"), FAILED, shard)


def test_missing_shard(model):
    (model / "model-00002-of-00002.safetensors").unlink()
    assert_refused(vortex("run", model, "hi"), FAILED, "model-00002-of-00002.safetensors")


def gguf_image():
    """A llama header with one tensor of 64 x 64 floats."""

    def text(value):
        return struct.pack("<Q", len(value)) + value

    image = b"GGUF" + struct.pack("<IQQ", 3, 1, 1)
    image += text(b"general.architecture") + struct.pack("<I", 8) + text(b"llama")
    image += text(b"token_embd.weight") + struct.pack("<IQQIQ", 2, 64, 64, 0, 0)
    image += bytes(-len(image) % 32)
    return image + bytes(64 * 64 * 4)


@pytest.mark.parametrize("kept", [0, 3, 20, 60, 100, -1, -8000])
def test_truncated_gguf(tmp_path, kept):
    path = tmp_path / "cut.gguf"
    path.write_bytes(gguf_image()[:kept])
    assert_refused(vortex("run", path, "hi"), FAILED, path)


def test_pickle_is_refused(model):
    for shard in model.glob("*safetensors*"):
        shard.unlink()
    (model / "pytorch_model.bin").write_bytes(b"\x80\x04")
    assert_refused(vortex("run", model, "hi"), FAILED, "pickle", "pytorch_model.bin", "safetensors")


def test_unknown_architecture_lists_the_supported(model):
    config = json.loads((model / "config.json").read_text())
    config |= {"architectures": ["FooForCausalLM"], "model_type": "foo"}
    (model / "config.json").write_text(json.dumps(config))
    assert_refused(vortex("run", model, "hi"), FAILED, "FooForCausalLM", "LlamaForCausalLM", "Qwen3ForCausalLM")


@pytest.mark.parametrize(
    "row", ["{", "[1]", '{"answer": "x"}', '{"messages": [1], "answer": "x"}', '{"messages": [{}], "answer": "x"}']
)
def test_evaluation_errors_name_the_line(tmp_path, row):
    good = json.dumps({"messages": [{"role": "user", "content": "hi"}], "answer": "x"})
    data = tmp_path / "rows.jsonl"
    data.write_text(f"{good}\n{row}\n")
    assert_refused(vortex("eval", "recall", "--model", MODEL, "--data", data, "-q"), FAILED, f"{data}:2:")


def test_evaluation_of_nothing():
    outcome = vortex("eval", "recall", "--model", MODEL, "--data", RECALL_4096, "--lengths", "77")
    assert_refused(outcome, FAILED, "no question is left", "--lengths")
    assert_refused(vortex("eval", "recall", "--model", MODEL, "--data", "/no/such"), FAILED, "/no/such")


def test_a_truncated_data_file(tmp_path):
    data = tmp_path / "cut.jsonl.gz"
    data.write_bytes(Path(RECALL_4096).read_bytes()[:50_000])
    assert_refused(vortex("eval", "recall", "--model", MODEL, "--data", data), FAILED, data, "gzip")
