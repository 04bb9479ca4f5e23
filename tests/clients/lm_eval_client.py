"""lm-eval's local-completions against our server: a task of log-likelihoods and one of generated text.

Its log-likelihoods come from one prefill with `echo`. Here they are computed another way: token by token, each as the
next one of a request of its own, where it is among the 20 likeliest. Every generated text is asked for again.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

from program import ROOT
from serving import start_vortex

NAME = "recall"
TASKS = ROOT / "tests/clients/tasks"
TOLERANCE = 0.02  # of a sum of a few log-probabilities: KV in bfloat16, other batch shapes


def ask(server, route, body):
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(server.address + route, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


def stepwise(server, context, continuation):
    """Sum of log-probabilities of `continuation` after `context`; None when a token is not among the likeliest."""
    tokens = ask(server, "/tokenize", {"model": NAME, "prompt": context + continuation})["tokens"]
    start = len(ask(server, "/tokenize", {"model": NAME, "prompt": context})["tokens"])
    total = 0.0
    for at in range(start, len(tokens)):
        body = {"model": NAME, "prompt": tokens[:at], "max_tokens": 1, "temperature": 0, "logprobs": 20}
        top = ask(server, "/v1/completions", body)["choices"][0]["logprobs"]["top_logprobs"][0]
        token = ask(server, "/detokenize", {"model": NAME, "tokens": [tokens[at]]})["prompt"]
        if token not in top:
            return None
        total += top[token]
    return total


def evaluate(server, out, tokenized):
    arguments = [
        f"model={NAME}",
        f"base_url={server.address}/v1/completions",
        "num_concurrent=2",
        "max_retries=1",
        f"tokenized_requests={tokenized}",
    ]
    command = [sys.executable, "-m", "lm_eval", "--model", "local-completions", "--model_args", ",".join(arguments)]
    command += ["--tasks", "recall_choice,recall_generate", "--include_path", str(TASKS), "--batch_size", "4"]
    command += ["--output_path", str(out), "--log_samples"]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(out / "hf"), "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | offline, capture_output=True, text=True, timeout=900, check=False
    )
    if done.returncode != 0:
        sys.exit(f"lm-eval failed:\n{done.stdout}\n{done.stderr[-4000:]}")
    newest = max(out.rglob("results_*.json"), key=lambda path: path.stat().st_mtime)
    samples = {}
    for task in ("recall_choice", "recall_generate"):
        path = max(newest.parent.glob(f"samples_{task}_*.jsonl"), key=lambda path: path.stat().st_mtime)
        samples[task] = [json.loads(line) for line in path.read_text().splitlines()]
    return json.loads(newest.read_text())["results"], samples


def compare(server, samples):
    """The largest difference of a log-likelihood, and how many were compared."""
    worst, count, least = 0.0, 0, 0.0
    for sample in samples:
        for index, reply in enumerate(sample["resps"]):
            request = sample["arguments"][f"gen_args_{index}"]
            expected = stepwise(server, request["arg_0"], request["arg_1"])
            if expected is None:
                continue
            got, is_greedy = float(reply[0][0]), str(reply[0][1]) == "True"
            assert math.isfinite(got) and got <= 0
            assert not is_greedy or got > -5, "greedy and unlikely"
            worst, count, least = max(worst, abs(got - expected)), count + 1, min(least, got)
    assert least < -0.1, "something was compared"
    return worst, count


def differing_texts(server, samples):
    """How many generated texts are not those of a request of our own."""
    count = 0
    for sample in samples:
        request = sample["arguments"]["gen_args_0"]
        body = {"model": NAME, "prompt": request["arg_0"], "max_tokens": 8, "temperature": 0, "stop": [".", "\n"]}
        text = ask(server, "/v1/completions", body)["choices"][0]["text"]
        count += sample["resps"] != [[text]]
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, default=6, help="questions whose log-likelihoods are computed again")
    options = parser.parse_args()
    out = Path(ROOT / "build/clients/lm-eval-results")
    tokenizer = "--enable-tokenizer-info-endpoint"  # lm-eval then asks the server, and needs no tokenizer of its own
    server = start_vortex("--served-model-name", NAME, "--kv-cache-dtype", "float32", tokenizer)
    try:
        for tokenized in (True, False):
            results, samples = evaluate(server, out, tokenized)
            worst, count = compare(server, samples["recall_choice"][: options.limit])
            others = differing_texts(server, samples["recall_generate"])
            accuracy = results["recall_choice"]["acc,none"]
            print(
                f"lm-eval: tokenized_requests={tokenized}, accuracy {accuracy:.2f} (chance 0.25), {count} sums of log-"
                f"probabilities within {worst:.1e} of those token by token, {others} texts differ"
            )
            assert count >= options.limit and worst < TOLERANCE and others == 0
            assert accuracy >= 0.25
    finally:
        server.stop()


if __name__ == "__main__":
    main()
