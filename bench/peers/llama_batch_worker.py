"""One measurement of llama.cpp: decode of several sequences in one batch. Prints one JSON object.

Every sequence has a cache of its own. One prompt of random tokens is computed, its keys and values are copied to the
other sequences, and then each step decodes one token of each. Run by llama_cpp.py like llama_worker.py.
"""
import argparse
import json
import random
import time

import llama_cpp


@llama_cpp.llama_log_callback
def ignore_log(_level, _text, _data) -> None:
    """llama.cpp logs hundreds of lines of its graph."""


def open_context(options: argparse.Namespace):
    llama_cpp.llama_log_set(ignore_log, None)
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(options.model.encode(), llama_cpp.llama_model_default_params())
    if not model:
        raise SystemExit(f"llama_batch_worker: {options.model} cannot be loaded")
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = options.batch * (options.context + options.decode)
    params.n_seq_max = options.batch
    params.kv_unified = False
    params.n_batch = params.n_ubatch = 512
    params.n_threads = params.n_threads_batch = options.threads
    params.flash_attn_type = options.flash_attn
    context = llama_cpp.llama_init_from_model(model, params)
    if not context:
        raise SystemExit("llama_batch_worker: no context: too little memory?")
    return model, context


def decode(context, batch, rows: list[tuple[int, int, int]], last_only: bool) -> float:
    """Seconds of one llama_decode over rows of (token, position, sequence)."""
    batch.n_tokens = len(rows)
    for i, (token, position, sequence) in enumerate(rows):
        batch.token[i] = token
        batch.pos[i] = position
        batch.n_seq_id[i] = 1
        batch.seq_id[i][0] = sequence
        batch.logits[i] = not last_only or i + 1 == len(rows)
    start = time.perf_counter()
    if llama_cpp.llama_decode(context, batch) != 0:
        raise SystemExit("llama_batch_worker: llama_decode failed")
    llama_cpp.llama_synchronize(context)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--context", type=int, required=True)
    parser.add_argument("--decode", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--flash-attn", type=int, choices=(0, 1), required=True)
    parser.add_argument("--batch", type=int, required=True)
    options = parser.parse_args()
    model, context = open_context(options)
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    source = random.Random(1)
    batch = llama_cpp.llama_batch_init(512, 0, 1)
    for first in range(0, options.context, 512):
        positions = range(first, min(first + 512, options.context))
        decode(context, batch, [(source.randrange(vocabulary), p, 0) for p in positions], last_only=True)
    memory = llama_cpp.llama_get_memory(context)
    for sequence in range(1, options.batch):
        llama_cpp.llama_memory_seq_cp(memory, 0, sequence, -1, -1)
    steps_s = []
    for step in range(options.decode):
        position = options.context + step
        rows = [(source.randrange(vocabulary), position, sequence) for sequence in range(options.batch)]
        steps_s.append(decode(context, batch, rows, last_only=False))
    print(json.dumps({"steps_s": steps_s}))


if __name__ == "__main__":
    main()
