#!/usr/bin/env python3
"""Vortex against llama.cpp on one GGUF file: tokens/s of prefill and decode, and their ratio.

Both run in turn, round after round, with the same threads, so that a slow minute of the machine hits both. A round is
one fresh process for each contender. llama.cpp runs with flash attention off and on, and the better of the two counts,
for prefill and decode each by itself. It is warmed up first and does not sample; Vortex is measured from a cold start
and samples. decode is the inverse of the median step. Ratios are taken within a round; the table shows medians.

With --batch several sequences decode together, each with a context of its own, and only decode is compared: Vortex
fills its pages with noise, llama.cpp copies one prompt's keys and values. tokens/s are of all sequences together, and
one sequence alone runs beside them.

The first run makes a Python environment in build/peers and compiles llama.cpp in it, which takes minutes.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORKER = Path(__file__).resolve().with_name("llama_worker.py")
BATCH_WORKER = WORKER.with_name("llama_batch_worker.py")
REQUIREMENTS = ("llama-cpp-python==0.3.36", "numpy")
PHASES = ("prefill", "decode")  # a batch has decode only
LLAMA_VARIANTS = {"llama.cpp": 0, "llama.cpp flash": 1}


def say(text: str) -> None:
    print(f"peers: {text}", file=sys.stderr, flush=True)


def output_of(command: list) -> str:
    """Standard output of a command; its errors go where ours go."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"peers: {' '.join(map(str, command))} ended with {done.returncode}")
    return done.stdout


def make_environment() -> Path:
    """The Python that has llama-cpp-python."""
    folder = ROOT / "build" / "peers"
    python = folder / "bin" / "python"
    stamp = folder / ".requirements"
    if stamp.is_file() and stamp.read_text() == "\n".join(REQUIREMENTS):
        return python
    say(f"installing {' and '.join(REQUIREMENTS)} into {folder}: this compiles llama.cpp and takes minutes")
    output_of([sys.executable, "-m", "venv", "--clear", folder])
    output_of([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS])
    stamp.write_text("\n".join(REQUIREMENTS))
    return python


def run_llama(python: Path, options: argparse.Namespace, context: int, flash_attn: int) -> dict:
    worker = WORKER if options.batch == 1 else BATCH_WORKER
    command = [python, "-I", worker, "--model", options.model, "--context", context, "--decode", options.decode]
    command += ["--threads", options.threads, "--flash-attn", flash_attn]
    if options.batch > 1:
        command += ["--batch", options.batch]
    result = json.loads(output_of(command))
    figures = {"decode": options.batch / statistics.median(result["steps_s"])}
    if "prefill_s" in result:
        figures["prefill"] = context / result["prefill_s"]
    return figures


def run_vortex(options: argparse.Namespace, context: int, config: str | None, batch: int) -> dict:
    # The prompt gives the first token, so one more token than steps.
    command = [options.vortex, "bench", "latency", "--model", options.model, "--input-len", context]
    command += ["--output-len", options.decode + 1, "--threads", options.threads, "--json", "--quiet"]
    if config:
        command += ["--vortex-config", config]
    if options.batch > 1:
        command += ["--batch", batch, "--synthetic-context"]
    result = json.loads(output_of(command))
    figures = {"decode": result["decode_tokens_per_s"]}
    if options.batch == 1:
        figures["prefill"] = result["prefill_tokens_per_s"]
    if config:
        figures["read_fraction"] = result["sparsity"]["read_fraction"]
    return figures


def warn_when_busy(threads: int) -> None:
    """llama.cpp's threads wait for each other by spinning: on a shared core its figures fall apart first."""
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if load > cores - threads + 0.5:
        say(f"other programs are busy (load {load:.1f} on {cores} cores): the figures will not hold")


def run_round(python: Path, options: argparse.Namespace, context: int) -> dict:
    figures = {"vortex": run_vortex(options, context, None, options.batch)}
    if options.batch > 1:
        figures["vortex, one sequence"] = run_vortex(options, context, None, 1)
    for name, flash_attn in LLAMA_VARIANTS.items():
        figures[name] = run_llama(python, options, context, flash_attn)
    for name, config in options.sparse.items():
        figures[name] = run_vortex(options, context, config, options.batch)
    return figures


def median_of(rounds: list[dict], name: str, phase: str) -> float:
    return statistics.median(figures[name][phase] for figures in rounds)


def phases_of(rounds: list[dict]) -> list[str]:
    return [phase for phase in PHASES if phase in rounds[0]["vortex"]]


def summarise(context: int, rounds: list[dict]) -> dict:
    """Medians over rounds, and each contender's ratio to llama.cpp at its best and to dense Vortex."""
    phases = phases_of(rounds)
    best = {phase: max(LLAMA_VARIANTS, key=lambda name: median_of(rounds, name, phase)) for phase in phases}
    contenders = {}
    for name in rounds[0]:
        row = {}
        for phase in phases:
            to_llama = [r[name][phase] / r[best[phase]][phase] for r in rounds]
            to_dense = [r[name][phase] / r["vortex"][phase] for r in rounds]
            row[phase] = {
                "tokens_per_s": median_of(rounds, name, phase),
                "to_llama_cpp": statistics.median(to_llama),
                "to_vortex_dense": statistics.median(to_dense),
                "rounds": [r[name][phase] for r in rounds],
            }
        if "read_fraction" in rounds[0][name]:
            row["read_fraction"] = rounds[0][name]["read_fraction"]
        contenders[name] = row
    return {"context": context, "best_llama_cpp": best, "contenders": contenders}


def print_table(summary: dict) -> None:
    print(f"\ncontext {summary['context']}, tokens/s (median of rounds)")
    phases = list(summary["best_llama_cpp"])
    print(f"{'':<40}" + "".join(f"{phase:>10}{'/llama':>8}{'/dense':>8}" for phase in phases) + f"{'read':>8}")
    for name, row in summary["contenders"].items():
        line = f"{name:<40}"
        for phase in phases:
            figures = row[phase]
            line += f"{figures['tokens_per_s']:>10.1f}{figures['to_llama_cpp']:>8.2f}"
            line += f"{figures['to_vortex_dense']:>8.2f}"
        if "read_fraction" in row:
            line += f"{100 * row['read_fraction']:>7.1f}%"
        print(line)


def number_list(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def sparse_contenders(flows: list[str], budgets: list[int]) -> dict[str, str]:
    """Each flow at each budget, by name: the VortexConfig it runs with."""
    return {
        f"vortex {flow}, topk {topk}": json.dumps({"module_name": flow, "topk_val": topk, "block_reserved_eos": 2})
        for flow in flows
        for topk in budgets
    }


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a .gguf file; default: what `vortex pull smollm2` gives")
    parser.add_argument("--contexts", type=number_list, default=[512], help="tokens, e.g. 512,4096,7900 (default 512)")
    parser.add_argument("--decode", type=int, default=64, help="decode steps timed in a round (default 64)")
    parser.add_argument("--batch", type=int, default=1, help="sequences that decode together (default 1)")
    parser.add_argument("--repeats", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: all usable cores")
    parser.add_argument(
        "--flow", action="append", help="flows that Vortex runs too, may be given again; default block_sparse_attention"
    )
    parser.add_argument(
        "--topk", type=number_list, default=[29], help="pages that each flow keeps beside three reserved ones, e.g. 29,6"
    )
    parser.add_argument("--vortex", default=ROOT / "build" / "release" / "bin" / "vortex", help="the program")
    parser.add_argument("--python", type=Path, help="a Python that has llama_cpp already")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    options = parser.parse_args()
    options.sparse = sparse_contenders(options.flow or ["block_sparse_attention"], options.topk)
    if not Path(options.vortex).is_file():
        parser.error(f"{options.vortex} is not there: ./run version builds it, or name one with --vortex")
    return options


def main() -> None:
    options = parse_options()
    python = options.python or make_environment()
    if options.model is None:
        options.model = output_of([options.vortex, "pull", "smollm2", "--quiet"]).strip()
    warn_when_busy(options.threads)
    summaries = []
    for context in options.contexts:
        rounds = []
        for number in range(options.repeats):
            say(f"context {context}, round {number + 1} of {options.repeats}")
            rounds.append(run_round(python, options, context))
        summaries.append(summarise(context, rounds))
        if not options.json:
            print_table(summaries[-1])
    if options.json:
        settings = {"model": str(options.model), "threads": options.threads, "repeats": options.repeats}
        print(json.dumps({**settings, "decode_steps": options.decode, "results": summaries}, indent=2))


if __name__ == "__main__":
    main()
