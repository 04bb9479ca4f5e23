"""tools/simulate_fleet.py against what can be known without it: formulas, counts, measured steps."""

import dataclasses
import json
import subprocess
import sys

import pytest
from fleet_costs import ATTENTION, Costs, read_curve, read_shape
from fleet_replica import Limits, Replica, Request, Tally
from program import ROOT
from simulate_fleet import Router, make_requests, percentile, read_options, run, simulate

CONFIGS = ROOT / "models/configs"
QWEN = str(CONFIGS / "qwen3-8b")


@dataclasses.dataclass
class Fixed:
    """Every step takes as long."""

    seconds: float = 1.0
    pool_tokens: int = 10**9

    def step_s(self, *_):
        return self.seconds

    def tokens_read(self, context):
        return context


def play(requests, costs, limits=None, replicas=1, policy="round_robin"):
    tally = Tally()
    fleet = [Replica(costs, limits or Limits(), tally) for _ in range(replicas)]
    simulate(requests, fleet, Router(policy, fleet))
    return tally, fleet


def load(**options):
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    return make_requests(read_options([QWEN, *flags]))


@pytest.mark.parametrize("busy", [0.3, 0.7, 0.9])
def test_one_server_waits_as_the_formula_of_pollaczek_and_khinchine_says(busy):
    """M/D/1: the mean wait is busy / (2 (1 - busy)) services."""
    requests = load(requests=200_000, rate=busy, prompt=100, output=1, seed=5)
    tally, _ = play(requests, Fixed(), Limits(max_seqs=1))
    waited = sum(one.first_token_s - one.arrival_s - 1 for one in tally.finished) / len(requests)
    assert waited == pytest.approx(busy / (2 * (1 - busy)), rel=0.05)


def test_waves_of_a_full_batch_take_as_many_steps_as_tokens():
    requests = [Request(0.0, -1, 0, 50, 10) for _ in range(12)]
    tally, (replica,) = play(requests, Fixed(), Limits(max_seqs=4))
    # The first finds an empty replica and begins alone.
    assert sorted(one.end_s for one in tally.finished)[0] == 10
    assert max(one.end_s for one in tally.finished) == 31
    assert tally.gaps == {1.0: 12 * 9} and replica.busy_s == 31


def test_who_arrives_during_a_step_begins_with_the_next():
    early, late = Request(0.0, -1, 0, 50, 40), Request(2.5, -1, 0, 50, 2)
    play([early, late], Fixed())
    assert (early.first_token_s, early.end_s) == (1, 40)
    assert (late.first_token_s, late.end_s) == (4, 5)


def test_a_long_prompt_takes_one_step_a_chunk():
    alone = Request(0.0, -1, 0, 5000, 1)
    play([alone], Fixed(), Limits(step_tokens=2048))
    assert alone.end_s == 3


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("policy", ["cache_aware", "round_robin", "least_loaded"])
def test_nothing_is_lost_and_memory_comes_back(policy, seed):
    requests = load(requests=800, rate=3, prefixes=20, prefix_tokens=700, prefix_share=0.8, zipf=1, seed=seed)
    costs = Fixed(0.05, pool_tokens=12_000)
    requests = [one for one in requests if one.prompt_tokens + one.output_tokens < costs.pool_tokens]
    tally, fleet = play(requests, costs, Limits(8, 512), replicas=3, policy=policy)
    assert {id(one) for one in tally.finished} == {id(one) for one in requests}
    assert len(tally.finished) == len(requests) and tally.evicted > 0
    for one in requests:
        assert one.produced == one.output_tokens and one.computed == one.prompt_tokens
        assert one.arrival_s < one.first_token_s <= one.end_s and one.cached_tokens <= one.prefix_tokens
    assert sum(tally.gaps.values()) == sum(one.output_tokens - 1 for one in requests)
    for replica in fleet:
        assert replica.load == 0 and replica.used == sum(replica.prefixes.values()) <= costs.pool_tokens
        assert replica.ready <= set(replica.prefixes)


@pytest.mark.parametrize(
    ("policy", "replicas", "cold"), [("round_robin", 1, 10), ("round_robin", 3, 30), ("cache_aware", 3, 10)]
)
def test_prefixes_in_turn_miss_as_often_as_the_router_scatters_them(policy, replicas, cold):
    requests = [Request(10.0 * number, number % 10, 1600, 1650, 2) for number in range(210)]
    play(requests, Fixed(), replicas=replicas, policy=policy)
    assert sum(one.cached_tokens == 0 for one in requests) == cold
    assert sum(one.cached_tokens for one in requests) == (210 - cold) * 1600


def test_the_same_beginning_at_once_is_computed_once():
    requests = [Request(0.0, 0, 1600, 1650, 5) for _ in range(6)]
    tally, _ = play(requests, Fixed(), Limits(step_tokens=1000))
    assert sorted(one.cached_tokens for one in tally.finished) == [0, 1600, 1600, 1600, 1600, 1600]


def test_a_busy_owner_of_a_prefix_is_passed_over():
    requests = [Request(0.001 * number, 0, 1600, 1650, 500) for number in range(300)]
    _, fleet = play(requests, Fixed(), Limits(max_seqs=16), replicas=2, policy="cache_aware")
    assert all(0 in replica.prefixes for replica in fleet)


def test_a_seed_decides_everything():
    def result(seed):
        flags = ["--requests=300", "--rate=3", "--prefixes=5", f"--seed={seed}", "--replicas=2"]
        return run(read_options([QWEN, *flags]))

    assert result(1) == result(1) != result(2)


def test_lengths_have_the_mean_that_was_asked_for():
    requests = load(requests=40_000, prompt="lognormal:1000:1", output="uniform:100-300")
    assert sum(one.prompt_tokens for one in requests) / 40_000 == pytest.approx(1000, rel=0.03)
    assert sum(one.output_tokens for one in requests) / 40_000 == pytest.approx(200, rel=0.01)


def test_percentiles_count_weights():
    assert percentile([(3.0, 1), (1.0, 98), (2.0, 1)], 0.5) == 1.0
    assert percentile([(3.0, 1), (1.0, 98), (2.0, 1)], 0.99) == 2.0


@pytest.mark.parametrize(
    ("name", "billions", "active"),
    [
        ("qwen3-1.7b", 1.7, 1.4),
        ("qwen3-8b", 8.2, 6.95),
        ("qwen3-30b-a3b", 30.5, 3.3),
        ("glm-4.7-flash", 30, 3.6),
        ("minimax-m2", 229, 10),
        ("deepseek-v3", 671, 37),
    ],
)
def test_shapes_have_the_published_sizes(name, billions, active):
    shape = read_shape(CONFIGS / name)
    assert shape.parameters / 1e9 == pytest.approx(billions, rel=0.02)
    # Published counts of active parameters include the embeddings or not.
    head = shape.hidden * shape.vocabulary
    low, high = shape.active / 1e9, (shape.active + 2 * head) / 1e9
    assert low <= active * 1.03 and active * 0.97 <= high


MEASURED = [  # docs/performance-cuda.md, "Whole decode steps": model, layers, batch, context, flow, pages, milliseconds
    ("qwen3-1.7b", 28, 64, 16000, "dense", 0, 27.9),
    ("qwen3-1.7b", 28, 64, 16000, "block_sparse_attention", 31, 4.24),
    ("qwen3-1.7b", 28, 64, 16000, "gqa_quest_sparse_attention", 31, 5.29),
    ("qwen3-1.7b", 28, 64, 16000, "block_sparse_attention", 62, 5.07),
    ("qwen3-1.7b", 28, 64, 16000, "gqa_quest_sparse_attention", 62, 6.11),
    ("qwen3-1.7b", 28, 64, 16000, "sketch2_sparse_attention", 8, 6.14),
    ("qwen3-8b", 12, 1, 32000, "dense", 0, 2.21),
    ("qwen3-8b", 12, 1, 32000, "block_sparse_attention", 31, 2.00),
    ("qwen3-8b", 12, 1, 32000, "gqa_quest_sparse_attention", 31, 2.01),
    ("glm-4.7-flash", 8, 32, 32000, "dense", 0, 6.66),
    ("glm-4.7-flash", 8, 32, 32000, "rope_aware_block_sparse_mla", 31, 3.31),
]


@pytest.mark.parametrize("case", MEASURED, ids=lambda case: f"{case[0]}-{case[4]}-{case[5]}")
def test_steps_cost_what_was_measured(case):
    name, layers, batch, context, flow, pages, milliseconds = case
    whole = read_shape(CONFIGS / name)
    shape = dataclasses.replace(whole, layers=layers, dense_layers=min(whole.dense_layers, layers))
    costs = Costs(shape, flow=flow, budget_pages=pages or 31)
    computed = 1e3 * costs.step_s(batch, batch * context, batch * costs.tokens_read(context))
    assert computed == pytest.approx(milliseconds, rel=0.09)


def test_a_curve_goes_through_its_points_and_on():
    for size, microseconds, _ in ATTENTION:
        assert read_curve(ATTENTION, size) == pytest.approx(microseconds)
    assert read_curve(ATTENTION, 1) == 6.6
    (low, before, _), (high, after, _) = ATTENTION[-2:]
    assert read_curve(ATTENTION, 2 * high - low) == pytest.approx(2 * after - before)


def test_ranks_share_weights_and_heads_but_not_latents():
    gqa, latent = read_shape(CONFIGS / "qwen3-30b-a3b"), read_shape(CONFIGS / "glm-4.7-flash")
    assert [Costs(gqa, width).kv_ranks for width in (1, 2, 4, 8)] == [1, 2, 4, 4]
    assert Costs(latent, 8).kv_ranks == 1
    free = 141e9 * 0.9 - gqa.parameters * 2 / 4
    # 48 layers, one kv head a rank, 128 numbers of k and of v in two bytes each.
    assert Costs(gqa, 4).pool_tokens == int(free / (48 * 256 * 2))


def test_a_model_that_does_not_fit_is_an_error():
    with pytest.raises(SystemExit, match="leaves room for 0 tokens"):
        run(read_options([str(CONFIGS / "minimax-m2"), "--tensor-parallel=2", "--requests=1"]))


def test_a_flow_for_another_kind_of_model_is_an_error():
    with pytest.raises(SystemExit, match="not for a model with keys and values"):
        run(read_options([QWEN, "--flow=rope_aware_block_sparse_mla", "--requests=1"]))


def test_the_command_prints_one_object():
    command = [sys.executable, ROOT / "tools/simulate_fleet.py", QWEN, "--requests=50", "--json", "--price=2"]
    result = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert result["requests"] == 50 and result["gpus"] == 1
    tokens = result["output_tokens_per_s"] * result["seconds"]
    dollars = 2 * result["seconds"] / 3600
    assert result["cost_per_million_output_tokens"] == pytest.approx(1e6 * dollars / tokens, rel=1e-3)
