"""Engines that the tests share."""

import pytest
from program import MODEL

import vortex

FLOW = "gqa_quest_sparse_attention"
TOPK = 8
LIMITS = {"max_running_requests": 8, "context_length": 8192, "log_level": "error", "offline": True}


@pytest.fixture(scope="session")
def dense():
    with vortex.Engine(MODEL, **LIMITS) as engine:
        yield engine


@pytest.fixture(scope="session")
def sparse():
    with vortex.Engine(MODEL, vortex={"module_name": FLOW, "topk_val": TOPK}, **LIMITS) as engine:
        yield engine


@pytest.fixture(scope="session")
def document():
    """About 700 tokens with facts in them."""
    words = ["apple", "bridge", "cactus", "dolphin", "ember", "falcon", "glacier", "harbor"]
    facts = [f"The special magic number for {word} is {1009 * (i + 3)}." for i, word in enumerate(words)]
    filler = "The grass is green and the sky is blue and the sun is bright. "
    return " ".join(fact + " " + filler * 4 for fact in facts)
