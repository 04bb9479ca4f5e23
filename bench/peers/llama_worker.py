"""One measurement of llama.cpp: a prompt of random tokens, then single tokens. Prints one JSON object.

Run by llama_cpp.py with `python -I`, so that `import llama_cpp` finds the package and not the script beside this file.
"""
import argparse
import json
import random
import time

import llama_cpp


def evaluate(llm: llama_cpp.Llama, tokens: list[int]) -> float:
    """Seconds of one eval, its logits included (they are not copied: logits_all is off)."""
    start = time.perf_counter()
    llm.eval(tokens)
    llama_cpp.llama_synchronize(llm._ctx.ctx)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--context", type=int, required=True)
    parser.add_argument("--decode", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--flash-attn", type=int, choices=(0, 1), required=True)
    options = parser.parse_args()
    llm = llama_cpp.Llama(
        options.model,
        n_ctx=options.context + options.decode,
        n_batch=512,
        n_threads=options.threads,
        n_threads_batch=options.threads,
        flash_attn=bool(options.flash_attn),
        logits_all=False,
        verbose=False,
    )
    source = random.Random(1)
    tokens = [source.randrange(llm.n_vocab()) for _ in range(options.context + options.decode)]
    # The first batch and the first token pay for page faults and graph memory.
    warm_up = tokens[: min(options.context, 512)]
    evaluate(llm, warm_up)
    evaluate(llm, tokens[:1])
    llm.reset()
    prefill_s = evaluate(llm, tokens[: options.context])
    steps_s = [evaluate(llm, [token]) for token in tokens[options.context :]]
    print(json.dumps({"prefill_s": prefill_s, "steps_s": steps_s}))


if __name__ == "__main__":
    main()
