"""The program with --device cuda where there is no GPU: its CUDA library on top of tests/emulator. Slow, so little is
asked; what is answered must be what the CPU answers."""

import gzip
import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from program import BUILD, MODEL, RECALL_4096, ROOT, assert_refused, vortex, vortex_json
from serving import start_vortex
from wire import ask, post

LIBRARY = BUILD / "tests/emulator/libvortex_cuda_emulated.so"
pytestmark = pytest.mark.skipif(not LIBRARY.exists(), reason="built without CUDA's compiler")

SMALL = ["--max-model-len", "1024", "--max-num-seqs", "4"]
BUDGET = '{"topk_val": 4, "topk_ratio": 0}'


def question(words_before, words_after):
    """One of the shipped questions with less text around its fact."""
    with gzip.open(RECALL_4096, "rt") as file:
        text = json.loads(file.readline())["messages"][0]["content"]
    fact = re.search(r"The special magic number [^.]*\.", text)[0]
    words = text[: text.index(fact)].split()
    asked = text[text.rindex("\n\n") :]
    return " ".join([*words[:words_before], fact, *words[words_before : words_before + words_after]]) + asked


def run(device, *arguments, model=MODEL, prompt):
    flags = ["--temperature", "0", "-n", "20", "--device", device, *SMALL, *arguments]
    variables = {"VORTEX_CUDA_LIBRARY": str(LIBRARY)} if device == "cuda" else {}
    return vortex_json("run", model, prompt, *flags, timeout=300, **variables)


def sparse(flow):
    return ["--flow", flow, "--vortex-config", BUDGET]


@pytest.mark.parametrize("flow", [None, "block_sparse_attention", "sketch2_sparse_attention", "running_avg_block_sparse"])
def test_run_answers_as_on_the_cpu(flow):
    prompt = question(20, 60)
    arguments = sparse(flow) if flow else []
    expected = run("cpu", *arguments, prompt=prompt)
    got = run("cuda", *arguments, prompt=prompt)
    assert got["text"] == expected["text"]
    assert got.get("pages_read") == expected.get("pages_read")


@pytest.mark.parametrize("flow", [None, "sketch2_sparse_attention"])
def test_keys_and_values_in_fp8(flow):
    arguments = [*(sparse(flow) if flow else []), "--kv-cache-dtype", "fp8_e4m3"]
    assert "special magic number" in run("cuda", *arguments, prompt=question(20, 60))["text"]


def test_fp8_is_refused_on_the_cpu():
    outcome = vortex(*["run", MODEL, "Hello", "--device", "cpu", "--kv-cache-dtype", "fp8_e4m3"])
    assert_refused(outcome, 1, "--kv-cache-dtype", "int8")


@pytest.mark.parametrize("flow", [None, "rope_aware_block_sparse_mla"])
def test_latents_answer_as_on_the_cpu(flow):
    model = str(ROOT / "models/recall-mla")
    prompt = question(10, 20)
    arguments = sparse(flow) if flow else []
    expected = run("cpu", *arguments, model=model, prompt=prompt)
    assert run("cuda", *arguments, model=model, prompt=prompt)["text"] == expected["text"]


def complete(server, prompt):
    body = {"messages": [{"role": "user", "content": prompt}], "max_tokens": 16, "temperature": 0}
    return ask(server.address, post("/v1/chat/completions", body), timeout=240).json()


def text_of(answer):
    return answer["choices"][0]["message"]["content"]


def test_a_server_answers_several_at_once_and_reuses_prefixes():
    """Steps are launched one ahead, graphs of several sizes are replayed."""
    flags = [*SMALL, *sparse("block_sparse_attention"), "--no-access-log"]
    prompts = [question(10, after) for after in (20, 25, 30)]
    on_cpu = start_vortex("--device", "cpu", *flags)
    try:
        expected = [text_of(complete(on_cpu, prompt)) for prompt in prompts]
    finally:
        on_cpu.stop()
    server = start_vortex("--device", "cuda", *flags, VORTEX_CUDA_LIBRARY=str(LIBRARY))
    try:
        assert "emulated GPU" in "\n".join(server.log)
        assert [text_of(complete(server, prompt)) for prompt in prompts] == expected
        with ThreadPoolExecutor(4) as threads:
            together = list(threads.map(lambda prompt: complete(server, prompt), [*prompts, prompts[0]]))
        assert [text_of(one) for one in together] == [*expected, expected[0]]
        assert all(one["usage"]["prompt_tokens_details"]["cached_tokens"] > 0 for one in together)
    finally:
        assert server.stop() == 0


def test_what_a_gpu_does_not_do_is_refused():
    outcome = vortex(
        *["run", MODEL, "Hello", "--device", "cuda", *SMALL, "--kv-cache-dtype", "int8"],
        VORTEX_CUDA_LIBRARY=str(LIBRARY),
    )
    assert_refused(outcome, 1, "--kv-cache-dtype")
