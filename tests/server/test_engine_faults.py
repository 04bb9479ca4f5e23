"""What shared pages give away, and faults below the API: cases 49, 50 and 58, faults 9, 11, 13 and 16."""

import json
import random
import shutil
import statistics
import struct
import threading
import time
from pathlib import Path

import pytest
from api import TEXT, ask, at_once, complete, metric, ok
from program import MODEL, assert_refused, vortex
from wire import assert_error

POISON = 4000  # a token whose embedding is made of NaN


def tokens(seed, count):
    chooser = random.Random(seed)
    return [chooser.randrange(100, 3000) for _ in range(count)]


def timed(server, prompt, key):
    """Cached tokens that the server admits, and the seconds that the answer took."""
    start = time.monotonic()
    body = {"prompt": prompt, "max_tokens": 1, "ignore_eos": True}
    usage = ok(ask(server, TEXT, body, f"Authorization: Bearer {key}"))["usage"]
    return usage["prompt_tokens_details"]["cached_tokens"], time.monotonic() - start


def test_case_49_keys_do_not_see_each_others_prompts(vortexes, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("alpha-key\nbeta-key\n")
    keys.chmod(0o600)
    server = vortexes("--api-key-file", keys)
    cold, stranger = [], []
    for seed in range(5):
        prompt = tokens(seed, 4000)
        first, warm = timed(server, prompt, "alpha-key"), timed(server, prompt, "alpha-key")
        other = timed(server, prompt, "beta-key")
        assert (first[0], warm[0], other[0]) == (0, 3984, 0)
        assert warm[1] < first[1] / 3
        cold.append(first[1])
        stranger.append(other[1])
    assert statistics.median(stranger) > statistics.median(cold) / 2


def test_case_49_guessing_a_prompt_finds_nothing(vortexes, tmp_path):
    """A stranger tries the right beginning among wrong ones: nothing about it stands out."""
    keys = tmp_path / "keys"
    keys.write_text("alpha-key\nbeta-key\n")
    keys.chmod(0o600)
    server = vortexes("--api-key-file", keys)
    secret = tokens(1, 640)
    timed(server, secret, "alpha-key")
    assert [timed(server, guess, "beta-key")[0] for guess in (tokens(2, 640), secret, tokens(3, 640))] == [0, 0, 0]


def test_case_50_pages_are_not_confused(server):
    """Slabs of equal sum, equal exclusive or, and swapped order: each gets its own answer."""
    base = tokens(5, 64)
    swapped = [*reversed(base[:16]), *base[16:]]
    shifted = [base[0] + 16, base[1] - 16, *base[2:]]
    for prompt in (swapped, shifted, base[16:32] + base[:16] + base[32:]):
        cold = complete(server, [*prompt, 7], cache_salt=f"{prompt[0]} {prompt[1]}", temperature=0, logprobs=1, ignore_eos=True)
        complete(server, [*base, 7], temperature=0, ignore_eos=True)
        after = complete(server, [*prompt, 7], temperature=0, logprobs=1, ignore_eos=True)
        assert after["choices"][0]["logprobs"]["token_logprobs"] == pytest.approx(
            cold["choices"][0]["logprobs"]["token_logprobs"], abs=1e-3
        )
        assert after["choices"][0]["text"] == cold["choices"][0]["text"]


def test_case_58_a_seed_decides_whatever_else_runs(server):
    body = {"prompt": tokens(9, 200), "max_tokens": 30, "temperature": 1.0, "seed": 77, "ignore_eos": True}
    alone = ok(ask(server, TEXT, body))["choices"][0]["text"]
    others = [
        threading.Thread(target=complete, args=(server, tokens(seed, 300)), kwargs={"max_tokens": 60})
        for seed in range(20, 26)
    ]
    for other in others:
        other.start()
    again = [ok(ask(server, TEXT, body))["choices"][0]["text"] for _ in range(3)]
    for other in others:
        other.join()
    assert again == [alone] * 3


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ("return 100 / (cached_block_len - 40);", "schedule_policy"),
        ("for (;;) {} return 1;", "schedule_policy"),
        ("int* p = nullptr; *p = 1; return 1;", "schedule_policy"),
        ("return topk_val +;", "schedule_policy"),
        ("throw 1;", "schedule_policy"),
    ],
)
def test_fault_09_a_policy_that_fails_never_serves(policy, says):
    """A budget as code is tried in a process of its own when the server starts; there is no silent fallback."""
    config = {"module_name": "block_sparse_attention", "schedule_policy": policy}
    start = time.monotonic()
    outcome = vortex("serve", MODEL, "--port", 0, "--quiet", "--vortex-config", json.dumps(config), timeout=60)
    assert_refused(outcome, 78, says)
    assert time.monotonic() - start < 30


def test_fault_09_what_a_policy_returns_is_clamped(vortexes):
    for returned in (-5, 0, 2_000_000_000):
        config = {"module_name": "block_sparse_attention", "schedule_policy": f"return {returned};"}
        server = vortexes("--vortex-config", json.dumps(config))
        answer = complete(server, tokens(4, 800), max_tokens=20, ignore_eos=True, vortex={"report": True})
        report = answer["vortex"]
        assert report["active"] and 0 < report["pages_read"] <= report["pages_held"]
        assert (report["pages_read"] == report["pages_held"]) == (returned > 0)


def test_fault_11_a_full_pool_preempts_and_all_finish(vortexes):
    prompts = [tokens(seed, 300) for seed in range(6)]
    fields = {"max_tokens": 120, "temperature": 0, "ignore_eos": True}
    roomy = vortexes()
    alone = [complete(roomy, prompt, **fields)["choices"][0]["text"] for prompt in prompts]
    # 3 KiB a token: room for 1,000 tokens, two and a half requests.
    server = vortexes("--kv-cache-memory-bytes", 3072 * 1008, "--max-num-seqs", 6)
    assert at_once(lambda prompt: complete(server, prompt, **fields)["choices"][0]["text"], prompts) == alone
    assert metric(server, "vllm:num_preemptions_total") > 0


def test_fault_11_more_than_the_pool_is_refused_at_once(vortexes):
    server = vortexes("--kv-cache-memory-bytes", 3072 * 1008)
    start = time.monotonic()
    error = assert_error(ask(server, TEXT, {"prompt": tokens(1, 2000), "max_tokens": 4}), 400)
    assert "2000" in error["message"] and time.monotonic() - start < 5


def poisoned(folder):
    """recall-gqa with a token that is not a number; its logits come from an unharmed copy."""
    shutil.copytree(MODEL, folder, ignore=shutil.ignore_patterns("eval"))
    shard = folder / "model-00001-of-00002.safetensors"
    shard.chmod(0o644)
    raw = bytearray(shard.read_bytes())
    (size,) = struct.unpack_from("<Q", raw)
    entry = json.loads(raw[8 : 8 + size])["model.embed_tokens.weight"]
    begin, end = (8 + size + offset for offset in entry["data_offsets"])
    header = json.dumps({"lm_head.weight": entry | {"data_offsets": [0, end - begin]}}).encode()
    (folder / "head.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + raw[begin:end])
    width = entry["shape"][1]
    struct.pack_into(f"<{width}H", raw, begin + POISON * width * 2, *[0x7FC0] * width)
    shard.write_bytes(raw)
    for name, change in (
        ("model.safetensors.index.json", lambda d: d["weight_map"].update({"lm_head.weight": "head.safetensors"})),
        ("config.json", lambda d: d.update(tie_word_embeddings=False)),
    ):
        path = Path(folder / name)
        path.chmod(0o644)
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
    return folder


def test_fault_13_a_nan_ends_its_own_request(vortexes, tmp_path):
    server = vortexes(model=str(poisoned(tmp_path / "recall-gqa")))
    good = {"prompt": tokens(3, 400), "max_tokens": 40, "temperature": 0, "ignore_eos": True}
    expected = ok(ask(server, TEXT, good))["choices"][0]["text"]
    seen = []
    mate = threading.Thread(target=lambda: seen.append(ok(ask(server, TEXT, good))["choices"][0]["text"]))
    mate.start()
    bad = good | {"prompt": [*good["prompt"][:100], POISON, *good["prompt"][101:]]}
    for _ in range(2):
        answer = ask(server, TEXT, bad)
        assert_error(answer, 500, "nan_logits")
        assert answer.headers["x-should-retry"] == "false"
    mate.join()
    assert seen == [expected]
    assert metric(server, "vllm:corrupted_requests_total") == 2
    assert ok(ask(server, TEXT, good))["choices"][0]["text"] == expected


def test_fault_16_an_engine_that_hangs_ends_the_process(vortexes):
    """One step over a long prompt takes longer than the watchdog allows."""
    server = vortexes("--max-num-batched-tokens", 32768, "--engine-timeout", 1, "--long-prefill-token-threshold", 0)
    body = {"prompt": tokens(1, 32000), "max_tokens": 2}
    answer = ask(server, TEXT, body)
    assert_error(answer, 503, "engine_dead")
    assert server.process.wait(20) == 1
    assert any("engine" in line for line in server.log[-3:]), server.log[-3:]
