"""A prompt that was there before starts sooner, and says why."""

import asyncio
import random
import statistics
from urllib.parse import urlsplit

from client import complete


def body_of(seed):
    chooser = random.Random(seed)
    return {
        "model": "recall-gqa",
        "prompt": [chooser.randrange(100, 3000) for _ in range(4000)],
        "max_tokens": 4,
        "temperature": 0,
        "ignore_eos": True,
    }


def test_a_warm_prompt_of_4000_tokens_starts_ten_times_sooner(server):
    port = urlsplit(server.address).port
    ratios = []
    for seed in range(3):
        cold, warm = (asyncio.run(complete(port, body_of(seed))) for _ in range(2))
        assert cold.ok and warm.ok, (cold, warm)
        assert (cold.cached_tokens, warm.cached_tokens) == (0, 3984)
        assert warm.text == cold.text
        ratios.append(cold.ttft_s / warm.ttft_s)
    print(f"cold over warm: {ratios}")
    assert statistics.median(ratios) >= 10
