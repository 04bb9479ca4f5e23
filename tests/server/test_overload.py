"""Four times more than the server can do: it goes on doing what it can, and says no to the rest before it starts."""

import asyncio
import os
import random
import time
from urllib.parse import urlsplit

import pytest
from client import complete
from serving import SLACK, start_vortex

SEQUENCES, QUEUE = 4, 8
# Tokens of an answer. The clients run on the server's cores: with answers of 32 tokens their hundred connections a
# second cost a tenth of the machine, which would be measured as the server's.
ANSWER = 128
PHASE_S = float(os.environ.get("VORTEX_OVERLOAD_S", 20))


def body_of(chooser):
    prompt = [chooser.randrange(100, 3000) for _ in range(64)]
    return {"model": "recall-gqa", "prompt": prompt, "max_tokens": ANSWER, "temperature": 0, "ignore_eos": True}


async def closed_loop(port, clients, seconds):
    """As many requests at once as run at once: the most that the server can do. Good tokens a second."""
    end = time.monotonic() + seconds
    tokens = 0

    async def client(seed):
        nonlocal tokens
        chooser = random.Random(seed)
        while time.monotonic() < end:
            outcome = await complete(port, body_of(chooser))
            assert outcome.ok, outcome
            tokens += outcome.tokens

    start = time.monotonic()
    await asyncio.gather(*(client(seed) for seed in range(clients)))
    return tokens / (time.monotonic() - start)


async def open_loop(port, per_second, seconds):
    """Requests at a fixed pace, whatever becomes of them."""
    chooser = random.Random(99)
    start = time.monotonic()
    running = []
    for i in range(int(per_second * seconds)):
        await asyncio.sleep(max(start + i / per_second - time.monotonic(), 0))
        running.append(asyncio.create_task(complete(port, body_of(chooser))))
    outcomes = await asyncio.gather(*running)
    served = [o for o in outcomes if o.ok]
    # Until the last one served has ended, as in the closed loop.
    return outcomes, sum(o.tokens for o in served) / (max(o.end_s for o in served) - start)


def overload(phase_s):
    server = start_vortex("--max-num-seqs", SEQUENCES, "--max-num-queued-reqs", QUEUE, "--no-enable-prefix-caching")
    try:
        port = urlsplit(server.address).port
        asyncio.run(closed_loop(port, SEQUENCES, 3))
        peak = asyncio.run(closed_loop(port, SEQUENCES, phase_s))
        outcomes, goodput = asyncio.run(open_loop(port, 4 * peak / ANSWER, phase_s))
        served = [o for o in outcomes if o.ok]
        refused = [o for o in outcomes if o.status == 503]
        assert len(served) + len(refused) == len(outcomes), [o for o in outcomes if not o.ok and o.status != 503][0]
        assert refused and all(o.retry_after and int(o.retry_after) >= 1 for o in refused)
        waits = sorted(o.end_s - o.sent_s for o in refused)
        print(f"overload: peak {peak:.0f} tok/s, goodput {goodput:.0f} ({goodput / peak:.2f}), {len(served)} served, ", end="")
        print(f"{len(refused)} refused in {1e3 * waits[len(waits) // 2]:.1f} ms (p99 {1e3 * waits[len(waits) * 99 // 100]:.1f})")
        return goodput / peak
    finally:
        assert server.stop() == 0


def test_overload_is_refused_before_it_starts():
    assert overload(4) > 0.5 / SLACK


@pytest.mark.slow
def test_goodput_at_four_times_the_capacity():
    assert overload(PHASE_S) >= 0.9
