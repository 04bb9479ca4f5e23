"""What a decode step costs more when it is asked for from Python.

    python bench/python/engine_overhead.py [--model recall-gqa] [--tokens 512] [--rounds 7] [--program build/.../vortex]

overhead_us: wall time of a call less what the engine itself says the answer took. step_us: the engine's own time, to be
compared with the program's (`vortex run`), whose process knows no Python. Microseconds a step, medians over the rounds;
within a round all take turns. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import time
from collections.abc import Callable

import vortex
from vortex.engine import Engine, Result

Way = Callable[[Engine, dict[str, object]], Result]


def wait(engine: Engine, params: dict[str, object]) -> Result:
    return engine.generate("One day", params)


def stream(engine: Engine, params: dict[str, object]) -> Result:
    *_, last = engine.generate("One day", params, stream=True)
    return last


def async_wait(engine: Engine, params: dict[str, object]) -> Result:
    async def main() -> Result:
        return await engine.async_generate("One day", params)

    return asyncio.run(main())


def async_stream(engine: Engine, params: dict[str, object]) -> Result:
    async def main() -> Result:
        *_, last = [chunk async for chunk in engine.async_generate("One day", params, stream=True)]
        return last

    return asyncio.run(main())


WAYS: dict[str, Way] = {
    "generate": wait,
    "generate stream": stream,
    "async_generate": async_wait,
    "async_generate stream": async_stream,
}


def measure(engine: Engine, way: Way, tokens: int) -> tuple[float, float]:
    """Microseconds a step: beside the engine's own time, and within it."""
    start = time.perf_counter()
    result = way(engine, {"max_new_tokens": tokens, "ignore_eos": True})
    wall = time.perf_counter() - start
    meta = result["meta_info"]
    assert meta["completion_tokens"] == tokens
    return (wall - meta["e2e_latency"]) / tokens * 1e6, meta["timings"]["decode_s"] / (tokens - 1) * 1e6


def program_step(program: str, model: str, tokens: int) -> float:
    """The same request in a process without Python: microseconds a step."""
    command = [program, "run", model, "One day", "--raw", "--ignore-eos", "--json", "--quiet", "--max-num-seqs", "2"]
    done = subprocess.run([*command, "-n", str(tokens)], capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)["timings"]["decode_s"]) / (tokens - 1) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="recall-gqa")
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--program", help="the vortex program, to compare with")
    arguments = parser.parse_args()
    overheads: dict[str, list[float]] = {name: [] for name in WAYS}
    steps: dict[str, list[float]] = {name: [] for name in WAYS}
    program_steps = []
    with vortex.Engine(arguments.model, max_running_requests=2, log_level="error") as engine:
        answers = {way(engine, {"max_new_tokens": 32})["text"] for way in WAYS.values()}
        assert len(answers) == 1, answers
        for _ in range(arguments.rounds):
            for name, way in WAYS.items():
                overhead, step = measure(engine, way, arguments.tokens)
                overheads[name].append(overhead)
                steps[name].append(step)
            if arguments.program:
                program_steps.append(program_step(arguments.program, arguments.model, arguments.tokens))
    report: dict[str, object] = {
        name: {"overhead_us": round(statistics.median(overheads[name]), 2), "step_us": round(statistics.median(own), 1)}
        for name, own in steps.items()
    }
    if program_steps:
        report["vortex run"] = {"step_us": round(statistics.median(program_steps), 1)}
    print(json.dumps({"model": arguments.model, "tokens": arguments.tokens, **report}, indent=2))


if __name__ == "__main__":
    main()
