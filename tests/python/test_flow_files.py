"""Flows from files, budgets as code: what `--flow FILE`, module_path and schedule_policy do from the outside."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from program import MODEL, PROGRAM, ROOT, assert_refused, vortex, vortex_json

FAILED, CONFIGURATION = 1, 78
NAME = "gqa_quest_sparse_attention"
SOURCE = ROOT / f"flows/{NAME}.cc"
QUESTION = (
    "The secret word for old stone is candle. "
    + "".join(f"The secret word for green apple {i} is river. " for i in range(20))
    + "What is the secret word for old stone?"
)
BUDGET = {"topk_val": 6, "block_reserved_eos": 2}

pytestmark = pytest.mark.skipif(shutil.which("c++") is None, reason="there is no compiler")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


def answer(cache, config, *arguments):
    config = json.dumps(BUDGET | config)
    done = vortex_json(
        "run", MODEL, QUESTION, "--max-tokens", "8", "--vortex-config", config, *arguments, VORTEX_CACHE_DIR=cache
    )
    return done["text"], done["sparsity"]


@pytest.fixture(scope="module")
def built_in(cache):
    text, sparsity = answer(cache, {"module_name": NAME})
    assert sparsity["flow"] == NAME and 0 < sparsity["pages_read"] < sparsity["pages_held"]
    return text, sparsity


def test_a_source_file_answers_as_the_built_in_flow_does(cache, built_in):
    assert answer(cache, {"module_path": str(SOURCE)}) == built_in
    assert answer(cache, {}, "--flow", SOURCE) == built_in
    assert answer(cache, {"module_name": "gone"}, "--flow", SOURCE) == built_in


def test_so_do_a_shared_object_and_a_graph(cache, built_in, tmp_path):
    for file, options in (("flow.so", []), ("flow.json", ["--model", MODEL])):
        built = vortex("flow", "build", SOURCE, "-o", tmp_path / file, *options, VORTEX_CACHE_DIR=cache)
        assert (built.status, built.out) == (0, NAME + "\n"), built.err
        assert answer(cache, {"module_path": str(tmp_path / file)}) == built_in
    wrong = json.dumps({"module_path": str(tmp_path / "flow.json"), "block_size": 32})
    assert_refused(vortex("run", MODEL, "hi", "--vortex-config", wrong), FAILED, "flow.json", "page of 16 tokens")


def test_the_file_may_lie_beside_the_configuration(cache, built_in, tmp_path):
    shutil.copy(SOURCE, tmp_path / "beside.cc")
    config = tmp_path / "config.json"
    config.write_text(json.dumps(BUDGET | {"module_path": "beside.cc"}))
    done = vortex_json(
        "run", MODEL, QUESTION, "--max-tokens", "8", "--vortex-config", f"@{config}", VORTEX_CACHE_DIR=cache
    )
    assert (done["text"], done["sparsity"]) == built_in


def test_other_commands_take_files(cache, tmp_path):
    latency = ["bench", "latency", "--model", MODEL, "--input-len", "600", "--output-len", "4", "--flow", SOURCE]
    assert vortex_json(*latency, VORTEX_CACHE_DIR=cache)["sparsity"]["flow"] == NAME
    text = tmp_path / "text"
    text.write_text(QUESTION * 3)
    fidelity = ["eval", "fidelity", "--model", MODEL, "--text", text, "--tokens", "700", "--tail", "4"]
    assert NAME in json.dumps(vortex_json(*fidelity, "--flows", SOURCE, VORTEX_CACHE_DIR=cache))


def test_a_mistake_has_its_place_in_the_file(cache, tmp_path):
    broken = tmp_path / "broken.cc"
    broken.write_text(SOURCE.read_text().replace("top_k(", "top_q("))
    line = 1 + broken.read_text()[: broken.read_text().index("top_q(")].count("\n")
    refused = vortex("run", MODEL, "hi", "--flow", broken, VORTEX_CACHE_DIR=cache)
    assert_refused(refused, CONFIGURATION, f"{broken}:{line}:", "'top_q' was not declared")
    refused = vortex("flow", "build", broken, "-o", tmp_path / "x.so", VORTEX_CACHE_DIR=cache)
    assert_refused(refused, CONFIGURATION, f"{broken}:{line}:", "'top_q' was not declared")
    assert not (tmp_path / "x.so").exists()


def test_a_field_that_no_memory_holds(cache, tmp_path):
    wild = tmp_path / "wild.cc"
    text = SOURCE.read_text()
    assert "{1, s.head_dim}" in text
    wild.write_text(text.replace("{1, s.head_dim}", "{2147483647, s.head_dim}", 1))
    assert_refused(vortex("run", MODEL, "hi", "--flow", wild, VORTEX_CACHE_DIR=cache), FAILED, "impossible shape")


@pytest.mark.parametrize(
    "file, status, part",
    [
        ("flow.py", CONFIGURATION, "flow.py:1:1: the flow raised NameError"),
        ("flow.txt", CONFIGURATION, "no suffix of a flow's file"),
        ("flow.so", CONFIGURATION, "cannot be loaded"),
        ("flow.json", FAILED, "flow.json"),
    ],
)
def test_files_that_are_no_flow(file, status, part, tmp_path):
    (tmp_path / file).write_text("nothing")
    config = json.dumps({"module_path": str(tmp_path / file)})
    assert_refused(vortex("run", MODEL, "hi", "--vortex-config", config), status, part)


def test_a_new_flow_works_untouched(cache, tmp_path):
    made = vortex("flow", "new", "my_peaks", "-o", tmp_path / "new")
    assert made.status == 0, made.err
    assert made.out.split() == [str(tmp_path / "new/my_peaks.cc"), str(tmp_path / "new/my_peaks_test.sh")]
    environment = os.environ | {"VORTEX": PROGRAM, "MODEL": MODEL, "VORTEX_CACHE_DIR": cache}
    test = subprocess.run([made.out.split()[1]], capture_output=True, text=True, timeout=300, env=environment)
    assert test.returncode == 0, test.stdout + test.stderr
    assert "passed" in test.stdout
    assert_refused(vortex("flow", "new", "my_peaks", "-o", tmp_path / "new"), FAILED, "my_peaks.cc", "File exists")
    assert_refused(vortex("flow", "new", "../peaks"), 2, "'../peaks' is no name for a flow")


def test_a_policy_is_the_budget(cache, built_in):
    formula = (
        "int fixed = topk_val + block_reserved_bos + block_reserved_eos;\n"
        "return max(fixed, (int)(cached_block_len * topk_ratio));"
    )
    assert answer(cache, {"module_name": NAME, "schedule_policy": formula}) == built_in
    for policy, pages in (("return 0;", 3), ("return 12;", 12), ("return cached_block_len;", None)):
        _, sparsity = answer(cache, {"module_name": NAME, "schedule_policy": policy})
        if pages is None:
            assert sparsity["pages_read"] == sparsity["pages_held"] and sparsity["steps_sparse"] == 0
        else:
            rows = len(sparsity["layers_sparse"]) * json.loads((Path(MODEL) / "config.json").read_text())[
                "num_key_value_heads"
            ]
            assert sparsity["pages_read"] == pages * rows * sparsity["steps_sparse"]


def test_max_topk_val_and_max_seq_lens(cache, built_in):
    assert answer(cache, {"module_name": NAME, "topk_val": 100, "max_topk_val": 6}) == built_in
    config = json.dumps(BUDGET | {"module_name": NAME, "max_seq_lens": 100})
    assert_refused(vortex("run", MODEL, QUESTION, "--vortex-config", config), FAILED, "100")


def test_a_policy_that_does_not_compile(cache):
    config = json.dumps(BUDGET | {"module_name": NAME, "schedule_policy": "int pages = 3;\n  return pagse;"})
    refused = vortex("run", MODEL, "hi", "--vortex-config", config, VORTEX_CACHE_DIR=cache)
    assert_refused(refused, CONFIGURATION, "schedule_policy:2:10:", "'pagse' was not declared")


def test_without_a_compiler(tmp_path):
    config = json.dumps(BUDGET | {"module_name": NAME, "schedule_policy": "return 3;"})
    nothing = {"PATH": str(tmp_path), "CXX": "", "VORTEX_CACHE_DIR": str(tmp_path)}
    refused = vortex("run", MODEL, "hi", "--vortex-config", config, **nothing)
    assert_refused(refused, FAILED, "this machine has no C++ compiler", "apt-get install g++")
    assert "no C++ compiler" in vortex_json("doctor", **nothing)["compiler"]


def test_an_installed_program_uses_its_own_header(cache, tmp_path):
    build = Path(PROGRAM).parents[1]
    if not (build / "cmake_install.cmake").exists() or shutil.which("cmake") is None:
        pytest.skip("no build folder")
    prefix = tmp_path / "prefix"
    subprocess.run(["cmake", "--install", build, "--prefix", prefix], check=True, capture_output=True)
    program = [prefix / "bin/vortex", "flow", "build", SOURCE, "-o", tmp_path / "flow.so"]
    environment = os.environ | {"VORTEX_CACHE_DIR": cache}
    assert subprocess.run(program, env=environment, capture_output=True, check=True).stdout.decode() == NAME + "\n"
    with open(prefix / "include/vortex/flow.h", "a", encoding="utf-8") as header:
        header.write("#error the installed one\n")
    refused = subprocess.run(program, env=environment, capture_output=True, check=False)
    assert refused.returncode == CONFIGURATION and b"the installed one" in refused.stderr
