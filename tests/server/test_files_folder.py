"""What else lies in a model's folder: tokenizers, configs, pickles, links (reliability cases 41 to 44)."""

import contextlib
import json
import math
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from model_images import tiny_model, tokenizer_json
from program import PROGRAM, assert_refused, environment, vortex
from serving import eventually, start_vortex
from wire import post

FAILED = 1


@pytest.fixture
def model(tmp_path):
    return tiny_model(tmp_path / "model")


def run(model, *arguments, **keywords):
    return vortex("run", model, "hi there", "--max-tokens", "2", *arguments, **keywords)


def test_the_model_of_these_tests_runs(model):
    outcome = run(model)
    assert outcome.status == 0, outcome.err


# --- 41: tokenizer.json


def split_by(pattern):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


TOKENIZERS = {
    "merge_of_unknown": ({"model.merges": [["a", "b"], ["zz", "b"]]}, "merge 1: 'zz' + 'b' names a piece outside"),
    "merge_to_unknown": ({"model.merges": [["a", "c"]]}, "merge 0: 'a' + 'c'"),
    "merge_of_three": ({"model.merges": ["a b c"]}, "entry 0 is not a pair"),
    "merge_of_numbers": ({"model.merges": [[1, 2]]}, "entry 0 is not a pair"),
    "merges_of_text": ({"model.merges": "a b"}, "model.merges"),
    "id_twice": ({"model.vocab.b": 68}, "id 68 is both"),
    "id_negative": ({"model.vocab.b": -1}, "is not an integer from 0 to"),
    "id_of_2_to_the_63": ({"model.vocab.b": 2**63}, "is not an integer from 0 to"),
    "id_of_a_fraction": ({"model.vocab.b": 1.5}, "is not an integer from 0 to"),
    "id_of_added_twice": (
        {"added_tokens": [{"id": 70, "content": "<new>", "special": True}]},
        "id 70 is both",
    ),
    "no_vocab": ({"model.vocab": {}}, "model.vocab"),
    "regex": ({"pre_tokenizer": split_by("(a")}, "missing closing parenthesis"),
    "regex_of_code": ({"pre_tokenizer": split_by("a(?C1)b\\C")}, "pattern"),
    "regex_exponential": ({"pre_tokenizer": split_by("(a+)+$|(a+a+)+b")}, "takes too long on plain text"),
    "regex_of_its_own_letter": ({"pre_tokenizer": split_by("(x+x+)+y")}, "takes too long on plain text"),
    "regex_slow_everywhere": ({"pre_tokenizer": split_by("(?:x{1,24}){1,4}y|x")}, "takes too long on plain text"),
    "regex_recursive": ({"pre_tokenizer": split_by("(a(?1)*)*b")}, "pattern"),
    "type": ({"model.type": "Unigram"}, "'Unigram' is not supported"),
    "unknown_token": ({"model.unk_token": "<gone>"}, "'<gone>' is not in the vocabulary"),
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_case_41_tokenizer_lies(model, name):
    changes, part = TOKENIZERS[name]
    (model / "tokenizer.json").write_text(json.dumps(tokenizer_json(**changes)))
    start = time.monotonic()
    assert_refused(run(model), FAILED, part)
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    "text, part",
    [
        ("", "empty"),
        ("{", "tokenizer.json"),
        ("[" * 100_000, "deeper than 64"),
        ("[]", "tokenizer.json"),
        ('{"model": 7}', "tokenizer.json"),
        ('{"model": {"vocab": [1]}}', "model.vocab"),
    ],
)
def test_case_41_no_tokenizer(model, text, part):
    (model / "tokenizer.json").write_text(text)
    assert_refused(run(model), FAILED, part)


def test_case_41_ids_beyond_the_vocabulary(model):
    """The model has 512 rows: a token it has no row for must not reach it."""
    (model / "tokenizer.json").write_text(json.dumps(tokenizer_json(**{"model.vocab.abab": 512})))
    assert_refused(vortex("run", model, "abab", "--max-tokens", "2"), FAILED, "512")


def test_case_41_two_million_merges(model):
    """All of one pair, so that the file is large and the table small: bounded by the file, and it still answers."""
    text = json.dumps(tokenizer_json(**{"model.merges": ["MERGES"]}))
    merges = ",".join(['["a","b"]'] * 2_000_000)
    (model / "tokenizer.json").write_text(text.replace('"MERGES"', merges))
    outcome = run(model, timeout=300)
    assert outcome.status == 0, outcome.err


def test_case_41_a_file_over_the_cap(model):
    with open(model / "tokenizer.json", "wb") as file:
        file.truncate(1 << 30)
    assert_refused(run(model), FAILED, "tokenizer.json", "1073741824 bytes, at most")


def test_case_41_a_pattern_that_only_hostile_text_slows_down_ends(model):
    """No letter of the text stands in the pattern, so that the load cannot know."""
    pattern = r"(?:\p{Cyrillic}{1,18}){1,4}!|.|\s"
    (model / "tokenizer.json").write_text(json.dumps(tokenizer_json(pre_tokenizer=split_by(pattern))))
    start = time.monotonic()
    outcome = vortex("run", model, "\u0434" * 40_000, "--max-tokens", "1", timeout=120)
    assert time.monotonic() - start < 60
    assert outcome.status == FAILED and "takes too long" in outcome.err, outcome.err


# --- 42: config.json


def set_config(model, **changes):
    config = json.loads((model / "config.json").read_text()) | changes
    (model / "config.json").write_text(json.dumps({key: value for key, value in config.items() if value != "GONE"}))


CONFIGS = {
    "heads_and_kv_heads": (dict(num_key_value_heads=3), "4 heads are no multiple of 3 kv heads"),
    "heads_and_hidden": (dict(num_attention_heads=5, num_key_value_heads=5, head_dim=None), "asks for [60, 64]"),
    "no_layers": (dict(num_hidden_layers=0), "num_hidden_layers is 0"),
    "negative_layers": (dict(num_hidden_layers=-1), "num_hidden_layers is -1"),
    "a_billion_layers": (dict(num_hidden_layers=10**9), "num_hidden_layers is 1000000000, possible are 1 to 4096"),
    "no_heads": (dict(num_attention_heads=0), "num_attention_heads is 0"),
    "hidden_of_2_to_the_40": (dict(hidden_size=2**40), "hidden_size"),
    "hidden_of_text": (dict(hidden_size="64"), "hidden_size is no number"),
    "hidden_of_a_fraction": (dict(hidden_size=64.5), "hidden_size is no whole number"),
    "hidden_missing": (dict(hidden_size="GONE"), "hidden_size is missing"),
    "odd_head_dim": (dict(head_dim=15), "rotates 15 of 15"),
    "theta_0": (dict(rope_parameters=dict(rope_theta=0)), "rope_theta is 0"),
    "theta_negative": (dict(rope_parameters=dict(rope_theta=-1)), "rope_theta is -1"),
    "theta_nan": (dict(rope_parameters=dict(rope_theta=math.nan)), "config.json: not valid JSON"),
    "theta_text": (dict(rope_parameters=dict(rope_theta="nan")), "rope_theta is no number"),
    "theta_1e999": (dict(rope_parameters=dict(rope_theta=math.inf)), "config.json"),
    "eps_negative": (dict(rms_norm_eps=-1), "rms_norm_eps is -1"),
    "vocab_and_embedding": (dict(vocab_size=500), "has shape [512, 64], the config asks for [500, 64]"),
    "intermediate": (dict(intermediate_size=64), "mlp"),
    "context_0": (dict(max_position_embeddings=0), "max_position_embeddings is 0"),
    "layer_types": (dict(layer_types=["full_attention"]), "layer_types names 1 of 3 layers"),
    "experts": (dict(num_local_experts=8), "num_local_experts changes the model"),
    "foreign_architecture": (dict(architectures=["os.system"]), "unknown architecture 'os.system'"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_case_42_config_lies(model, name):
    changes, part = CONFIGS[name]
    set_config(model, **changes)
    assert_refused(run(model), FAILED, str(model), part)


def test_case_42_auto_map_is_ignored_and_no_code_is_run(model, tmp_path):
    before = run(model)
    marker = tmp_path / "code-was-run"
    code = f"import pathlib\npathlib.Path({str(marker)!r}).touch()\n"
    for name in ("modeling_evil.py", "configuration_evil.py", "tokenization_evil.py", "__init__.py", "conftest.py"):
        (model / name).write_text(code)
    (model / "evil.so").write_bytes(Path(PROGRAM).read_bytes()[:4096])
    auto_map = {"AutoModelForCausalLM": "modeling_evil.Evil", "AutoConfig": "configuration_evil.Evil"}
    set_config(model, auto_map=auto_map, trust_remote_code=True, module_path=str(model / "modeling_evil.py"))
    config = {"auto_map": {"AutoTokenizer": ["tokenization_evil.Evil", None]}, "tokenizer_class": "Evil"}
    config |= {"bos_token": "<s>", "eos_token": "</s>"}
    (model / "tokenizer_config.json").write_text(json.dumps(config))
    after = run(model)
    assert (after.status, after.out) == (0, before.out)
    assert not marker.exists()


# --- 43: pickles


@pytest.mark.parametrize("file", ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "a.pt", "a.pth", "a.ckpt"])
def test_case_43_pickles_are_refused(model, tmp_path, file):
    (model / "model.safetensors").unlink()
    marker = tmp_path / "code-was-run"
    (model / file).write_bytes(b"cos\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR.")
    for command in (run(model), vortex("inspect", model)):
        assert_refused(command, FAILED, "Python pickle", file, "use a safetensors or GGUF version of the model")
    assert_refused(vortex("run", model / file, "hi"), FAILED, "not a .gguf file")
    assert not marker.exists()


# --- 44: links out of the cache, files that change after the load

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path, model):
    """A Hugging Face cache that holds the model as org/name; returns the cache and the snapshot's folder."""
    repo = tmp_path / "hub/models--org--name"
    snapshot = repo / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repo / "blobs").mkdir()
    (repo / "refs").mkdir()
    (repo / "refs/main").write_text(COMMIT)
    for path in model.iterdir():
        shutil.copy(path, repo / "blobs" / path.name)
        (snapshot / path.name).symlink_to(f"../../blobs/{path.name}")
    return tmp_path / "hub", snapshot


def run_hub(cache, **variables):
    return vortex("run", "org/name", "hi", "--max-tokens", "1", "--offline", HF_HUB_CACHE=str(cache), **variables)


def test_case_44_links_inside_the_cache_are_followed(hub):
    outcome = run_hub(hub[0])
    assert outcome.status == 0, outcome.err


@pytest.mark.parametrize(
    "file",
    [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
        "chat_template.jinja",
    ],
)
@pytest.mark.parametrize("how", ["absolute", "relative", "folder"])
def test_case_44_links_out_of_the_cache_are_refused(hub, tmp_path, model, file, how):
    cache, snapshot = hub
    outside = model / file
    if not outside.exists():
        outside.write_text("{{ messages }}")
    if how == "folder":  # the link is to a folder outside, the file is a plain one there
        shutil.rmtree(snapshot)
        snapshot.symlink_to(model)
    else:
        (snapshot / file).unlink(missing_ok=True)
        (snapshot / file).symlink_to(outside if how == "absolute" else os.path.relpath(outside, snapshot))
    assert_refused(run_hub(cache), FAILED, "leads out of the cache")


def start_chat(model):
    """A loaded model that waits for a line; its log tells when it has answered one."""
    return subprocess.Popen(
        [PROGRAM, "chat", model, "--max-tokens", "2"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


@pytest.fixture
def chat_model(model):
    template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    (model / "chat_template.jinja").write_text(template)
    return model


@pytest.mark.parametrize("keep", [0, 4096])
def test_case_44_a_file_cut_after_the_load_is_a_failure_with_a_line(chat_model, keep):
    chat = start_chat(chat_model)
    chat.stdin.write("hello\n")
    chat.stdin.flush()
    assert chat.stdout.read(1) != "", "it answers"
    os.truncate(chat_model / "model.safetensors", keep)
    chat.stdin.write("hello again, with other words\n" * 50)
    out, err = chat.communicate(timeout=60)
    weights = str(chat_model / "model.safetensors")
    assert chat.returncode == FAILED, (chat.returncode, err)
    assert err.splitlines()[-1].startswith(f"vortex: {weights}: can no longer be read: it was cut short"), err


def test_case_44_a_file_replaced_by_a_rename_does_no_harm(chat_model, tmp_path):
    chat = start_chat(chat_model)
    chat.stdin.write("hello\n")
    chat.stdin.flush()
    assert chat.stdout.read(1) != ""
    (tmp_path / "new").write_bytes(b"another model")
    os.rename(tmp_path / "new", chat_model / "model.safetensors")
    _, err = chat.communicate("hello again\n", timeout=60)
    assert chat.returncode == 0, err


def test_case_44_a_server_whose_file_is_cut_ends_with_a_line(chat_model):
    server = start_vortex(model=chat_model)
    request = {"prompt": "hello", "max_tokens": 4, "temperature": 0}
    assert server.ask(post("/v1/completions", request)).status == 200
    os.truncate(chat_model / "model.safetensors", 4096)
    with contextlib.suppress(OSError, AssertionError):  # the connection ends with the server
        server.ask(post("/v1/completions", request | {"prompt": "other words " * 40}))
    try:
        assert server.process.wait(30) == FAILED
        weights = chat_model / "model.safetensors"
        assert eventually(lambda: server.log[-1].startswith(f"vortex: {weights}: can no longer be read")), server.log
    finally:
        server.stop()
