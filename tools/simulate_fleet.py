#!/usr/bin/env python3
"""Simulates a fleet of replicas: what a load costs, and how long its clients wait.

tools/simulate_fleet.py models/configs/qwen3-8b --replicas 8 --rate 20 --flow block_sparse_attention --price 3

Requests arrive at random (Poisson), a router gives each to a replica, replicas batch decodes and chunks of prompts.
Times of steps come from fleet_costs.py: measured points, arithmetic between them. Not in it: the network, the router's
own time, tokenisation, preemption, the pacing of long prompts, prefixes of a conversation's own answers, failures.
"""

import argparse
import heapq
import json
import math
import random
import sys

from fleet_costs import ALL_REDUCE_US, FLOWS, Costs, read_shape
from fleet_replica import Limits, Replica, Request, Tally

FIELD_ROWS = {
    "dense": 0,
    "block_sparse_attention": 1,
    "rope_aware_block_sparse_mla": 1,
    "gqa_quest_sparse_attention": 2,
}
# vllm-router's: beyond both, the shorter queue wins over the cache.
BALANCE_MORE, BALANCE_TIMES = 64, 1.5


class Router:
    """Chooses a replica for a request. `owners` is what it believes that replicas have cached, as a real one does."""

    def __init__(self, policy, replicas):
        self.policy, self.replicas = policy, replicas
        self.owners = {}
        self.tokens = [0] * len(replicas)
        self.turn = -1

    def choose(self, request):
        if self.policy == "round_robin":
            self.turn = (self.turn + 1) % len(self.replicas)
            return self.turn
        loads = [one.load for one in self.replicas]
        shortest = min(range(len(loads)), key=loads.__getitem__)
        if self.policy == "least_loaded" or request.prefix < 0:
            return shortest
        chosen = self._choose_by_prefix(request, loads, shortest)
        owners = self.owners.setdefault(request.prefix, set())
        if chosen not in owners:
            owners.add(chosen)
            self.tokens[chosen] += request.prefix_tokens
        return chosen

    def _choose_by_prefix(self, request, loads, shortest):
        low, high = loads[shortest], max(loads)
        if high - low > BALANCE_MORE and high > low * BALANCE_TIMES:
            return shortest
        if owners := self.owners.get(request.prefix):
            return min(owners, key=lambda one: (loads[one], one))
        return min(range(len(loads)), key=lambda one: (self.tokens[one], loads[one]))


def length_drawer(text, chooser):
    """`N`, `uniform:A-B` or `lognormal:MEAN:CV` as a function that draws tokens, at least one."""
    kind, _, rest = text.partition(":")
    if kind == "uniform":
        low, high = (int(part) for part in rest.split("-"))
        return lambda: chooser.randint(low, high)
    if kind == "lognormal":
        mean, deviation = (float(part) for part in rest.split(":"))
        sigma = math.sqrt(math.log1p(deviation**2))
        return lambda: max(1, round(chooser.lognormvariate(math.log(mean) - sigma**2 / 2, sigma)))
    return lambda: int(kind)


def make_requests(options):
    """The load, in order of arrival; the same for the same seed, whatever serves it."""
    chooser = random.Random(options.seed)
    own, output = length_drawer(options.prompt, chooser), length_drawer(options.output, chooser)
    weights = [1 / (rank + 1) ** options.zipf for rank in range(options.prefixes)]
    now, requests = 0.0, []
    for _ in range(options.requests):
        now += chooser.expovariate(options.rate)
        shares = options.prefixes > 0 and chooser.random() < options.prefix_share
        prefix = chooser.choices(range(options.prefixes), weights)[0] if shares else -1
        tokens = options.prefix_tokens if shares else 0
        requests.append(Request(now, prefix, tokens, tokens + max(1, own()), max(1, output())))
    return requests


def simulate(requests, replicas, router):
    """Plays the load to its end."""
    events = []  # (time, order, replica, version of its plan)
    order = 0

    def follow(index):
        nonlocal order
        replica = replicas[index]
        if replica.end_s is not None:
            order += 1
            heapq.heappush(events, (replica.end_s, order, index, replica.version))

    def play_until(limit):
        while events and events[0][0] <= limit:
            _, _, index, version = heapq.heappop(events)
            if version == replicas[index].version:
                replicas[index].advance()
                follow(index)

    for request in requests:
        play_until(request.arrival_s)
        index = router.choose(request)
        if replicas[index].arrive(request, request.arrival_s):
            follow(index)
    play_until(math.inf)


def percentile(weighted, share):
    """Of (value, count) pairs: the smallest value that `share` of the counts do not exceed."""
    weighted = sorted(weighted)
    wanted, seen = share * sum(count for _, count in weighted), 0
    for value, count in weighted:
        seen += count
        if seen >= wanted:
            return value
    return 0.0


def report(tally, replicas, gpus, price):
    """The result as --json prints it; times in milliseconds, money in the unit of the price."""
    done = tally.finished
    seconds = max(one.end_s for one in done) - min(one.arrival_s for one in done)
    output, prompt = sum(one.output_tokens for one in done), sum(one.prompt_tokens for one in done)
    first = [(one.first_token_s - one.arrival_s, 1) for one in done]
    gaps = list(tally.gaps.items())
    cost = gpus * price * seconds / 3600

    def both(weighted):
        return {name: round(1e3 * percentile(weighted, share), 3) for name, share in (("p50", 0.5), ("p99", 0.99))}

    return {
        "requests": len(done),
        "gpus": gpus,
        "seconds": round(seconds, 3),
        "ttft_ms": both(first),
        "itl_ms": both(gaps),
        "output_tokens_per_s": round(output / seconds, 1),
        "prompt_tokens_per_s": round(prompt / seconds, 1),
        "hit_rate": round(sum(one.cached_tokens for one in done) / prompt, 4),
        "prefixes_evicted": tally.evicted,
        "busy": round(sum(one.busy_s for one in replicas) / (seconds * len(replicas)), 4),
        "cost_per_million_output_tokens": round(1e6 * cost / output, 4),
        "cost_per_million_tokens": round(1e6 * cost / (output + prompt), 4),
    }


def costs_of(options):
    costs = Costs(
        shape=read_shape(options.model),
        width=options.tensor_parallel,
        flow=options.flow,
        budget_pages=options.budget_pages,
        all_reduce_us=options.all_reduce_us,
    )
    if costs.sparse and FLOWS[options.flow][2] != costs.shape.latent:
        kind = "latents" if costs.shape.latent else "keys and values"
        raise SystemExit(f"simulate_fleet: --flow: {options.flow} is not for a model with {kind}")
    return costs


def run(options):
    costs = costs_of(options)
    requests = make_requests(options)
    largest = max(one.prompt_tokens + one.output_tokens for one in requests)
    if costs.pool_tokens < largest:
        raise SystemExit(
            f"simulate_fleet: {options.model} on {options.tensor_parallel} GPUs leaves room for "
            f"{max(costs.pool_tokens, 0):,} tokens, a request needs {largest:,} (raise --tensor-parallel)"
        )
    tally = Tally()
    limits = Limits(options.max_num_seqs, options.max_num_batched_tokens)
    replicas = [Replica(costs, limits, tally) for _ in range(options.replicas)]
    simulate(requests, replicas, Router(options.policy, replicas))
    return {"pool_tokens": costs.pool_tokens} | report(
        tally, replicas, options.replicas * options.tensor_parallel, options.price
    )


def count(low, high):
    def read(text):
        value = int(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{value} is not within {low} to {high}")
        return value

    return read


def positive(text):
    value = float(text)
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{value} is not positive")
    return value


def share(text):
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{value} is not within 0 to 1")
    return value


def read_options(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("model", help="a folder with a config.json")
    add("--replicas", type=count(1, 10_000), default=1)
    add("--tensor-parallel", type=count(1, 64), default=1, help="GPUs of each replica")
    add("--flow", choices=["dense", *FLOWS], default="dense")
    add("--budget-pages", type=count(1, 1_000_000), default=31, help="pages of 16 tokens that a sparse decode reads")
    add("--policy", choices=["cache_aware", "round_robin", "least_loaded"], default="cache_aware")
    add("--rate", type=positive, default=1.0, help="requests a second, of the whole fleet")
    add("--requests", type=count(1, 10_000_000), default=2000)
    add("--prompt", default="lognormal:1000:1", help="tokens beside the prefix: N, uniform:A-B, lognormal:MEAN:CV")
    add("--output", default="lognormal:300:0.7", help="tokens of answers, likewise")
    add("--prefixes", type=count(0, 1_000_000), default=0, help="different beginnings that requests share")
    add("--prefix-tokens", type=count(1, 10_000_000), default=4000)
    add("--prefix-share", type=share, default=1.0, help="share of the requests that begin with one")
    add("--zipf", type=float, default=0.0, help="0: every beginning as often; 1: the n-th 1/n as often as the first")
    add("--max-num-seqs", type=count(1, 4096), default=64)
    add("--max-num-batched-tokens", type=count(1, 1_048_576), default=2048)
    add("--all-reduce-us", type=positive, default=ALL_REDUCE_US, help="start of an all-reduce: assumed, not measured")
    add("--price", type=positive, default=3.0, help="of a GPU hour")
    add("--seed", type=int, default=0)
    add("--json", action="store_true")
    options = parser.parse_args(arguments)
    if options.max_num_batched_tokens <= options.max_num_seqs:
        parser.error("--max-num-batched-tokens: must exceed --max-num-seqs, or prompts never begin")
    return options


def main():
    options = read_options()
    result = run(options)
    if options.json:
        json.dump(result, sys.stdout)
        print()
        return
    for name, value in result.items():
        print(f"{name:32} {value if not isinstance(value, dict) else ', '.join(f'{k} {v}' for k, v in value.items())}")


if __name__ == "__main__":
    main()
