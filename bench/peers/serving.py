#!/usr/bin/env python3
"""Vortex's server against llama-cpp-python's on one GGUF file: tokens/s of many requests at once, and their ratio.

Three servers run in turn, round after round, with the same threads: `vortex serve`, the same with --max-num-seqs 1,
and `python -m llama_cpp.server`. A round is a fresh server, a warm-up request, then all requests at once. Every prompt
is different from its first words, so that no server gains by a prefix cache. Each answer is checked for its length.

The first run makes a Python environment in build/peers and compiles llama.cpp in it, which takes minutes.
"""
import argparse
import asyncio
import contextlib
import json
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench/serving"), str(ROOT / "bench/peers")]

import client  # noqa: E402
import llama_cpp as peer  # noqa: E402

EXTRAS = ("uvicorn", "fastapi", "pydantic-settings", "sse-starlette", "starlette-context", "PyYAML")
PORT = 30871
# llama-cpp-python has no ignore_eos: the end tokens of SmolLM2 are made impossible.
NO_END = {"0": -100, "2": -100}


def words(count: int, seed: int) -> str:
    """A prompt of about `count` tokens: common words, one token each."""
    vocabulary = "time people way day man thing woman life child world school state family student group country".split()
    chooser = random.Random(seed)
    return " ".join([f"Number {seed}:"] + [chooser.choice(vocabulary) for _ in range(count - 4)])


@contextlib.contextmanager
def server(command: list, ready: str):
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if client.get(PORT, ready)[0] == 200:
                    break
            if process.poll() is not None:
                sys.exit(f"serving: {command[0]} ended with {process.returncode}")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(60)


def run_round(bodies: list) -> dict:
    warm_up = asyncio.run(client.many(PORT, [bodies[0] | {"prompt": "Hello there", "max_tokens": 8}]))
    assert warm_up[0].ok, warm_up[0]
    start = time.monotonic()
    outcomes = asyncio.run(client.many(PORT, bodies))
    seconds = time.monotonic() - start
    bad = [o for o in outcomes if not o.ok]
    assert not bad, bad[0]
    generated = sum(o.tokens or 1 + len(o.intervals_s) for o in outcomes)
    wanted = sum(body["max_tokens"] for body in bodies)
    assert generated >= 0.98 * wanted, f"{generated} tokens of {wanted}"
    return {
        "tokens_per_s": generated / seconds,
        "seconds": seconds,
        "ttft_p50_s": statistics.median(o.ttft_s for o in outcomes),
        "prompt_tokens": statistics.mean(o.prompt_tokens for o in outcomes),
    }


def commands(options: argparse.Namespace, python: Path) -> dict:
    vortex = [options.vortex, "serve", options.model, "--port", PORT, "--threads", options.threads, "--quiet", "--served-model-name", "x"]
    vortex += ["--log-level", "warn"]
    llama = [python, "-m", "llama_cpp.server", "--model", options.model, "--port", PORT, "--n_ctx", options.llama_context]
    # Otherwise a new request ends the one that runs.
    llama += ["--interrupt_requests", "False"]
    llama += ["--n_threads", options.threads, "--n_threads_batch", options.threads, "--host", "127.0.0.1"]
    return {
        "vortex": (vortex + ["--max-num-seqs", options.requests], "/health"),
        "vortex, one at a time": (vortex + ["--max-num-seqs", 1], "/health"),
        "llama-cpp-python": (llama, "/v1/models"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a GGUF file")
    parser.add_argument("--vortex", default=ROOT / "build/release/bin/vortex")
    parser.add_argument("--peer-python", type=Path, help="a Python that has llama-cpp-python[server]")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--requests", type=int, default=16)
    parser.add_argument("--prompt", type=int, default=1024, help="tokens of a prompt")
    parser.add_argument("--answer", type=int, default=64, help="tokens of an answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--llama-context", type=int, default=2048)
    options = parser.parse_args()
    python = options.peer_python
    if python is None:
        python = peer.make_environment()
        peer.output_of([python, "-m", "pip", "install", "--quiet", *EXTRAS])
    results: dict[str, list] = {}
    for number in range(options.rounds):
        for name, (command, ready) in commands(options, python).items():
            bodies = [
                {"model": "x", "prompt": words(options.prompt, 1000 * number + i), "max_tokens": options.answer}
                | {"temperature": 0, "seed": 1}
                | ({"logit_bias": NO_END} if name.startswith("llama") else {"ignore_eos": True})
                for i in range(options.requests)
            ]
            with server(command, ready):
                results.setdefault(name, []).append(run_round(bodies))
            print(f"{name}: {json.dumps(results[name][-1])}", file=sys.stderr, flush=True)
    ours = results["vortex"]
    ratios = {
        name: statistics.median(a["tokens_per_s"] / b["tokens_per_s"] for a, b in zip(ours, theirs))
        for name, theirs in results.items()
    }
    medians = {name: statistics.median(r["tokens_per_s"] for r in rounds) for name, rounds in results.items()}
    print(json.dumps({"tokens_per_s": medians, "vortex_over": ratios, "rounds": results}, indent=1))


if __name__ == "__main__":
    main()
