"""What a step of a model costs on GPUs: shapes from a config.json, times from measurements on one H200.

A step's time is the sum, over layers, of three curves of microseconds against bytes read in a layer (attention,
selection of pages, and weights with all that is small), of prefill by arithmetic, and of all-reduces. The points of the
curves are figures of docs/performance-cuda.md; a point with `derived` is a difference of such figures. Between points
time is linear in bytes, before the first it is the first (latency), beyond the last it goes on with the last slope.
"""

import itertools
import json
from dataclasses import dataclass
from pathlib import Path

PAGE = 16
NUMBER = 2  # bytes of a bfloat16: weights, keys, values, latents and fields on the GPU
GPU_BYTES = 141e9  # an H200, NVIDIA's data sheet
GPU_SHARE = 0.9  # --gpu-memory-utilization

# (bytes a layer, microseconds a layer, where the figure stands in docs/performance-cuda.md)
ATTENTION = [
    (2.03e6, 6.6, "Attention: Qwen3-8B heads, 1 x 32K, 31 pages"),
    (130e6, 38, "Attention: Qwen3-1.7B heads, 64 x 16K, 31 pages"),
    (395e6, 96, "Attention: the same, 94 pages"),
    (4.29e9, 967, "Attention: the same, dense"),
]
LATENT_ATTENTION = [
    (2.03e6, 6.6, "derived: the latency of one sequence of Qwen3-8B heads; not measured for latents"),
    (1.18e9, 478, "Attention: latent, 20 heads, 64 x 16K"),
]
SELECTION = [
    (2.05e6, 16.4, "Selection: 1,000 pages and 8 heads, scoring 9.4 and choosing 7.0"),
    (16.8e6, 36, "Selection: one sequence of 8,192 pages, block-sparse"),
    (134e6, 59, "Selection: 64 x 1,024 pages x 8 heads, block_sparse_attention"),
    (268e6, 110, "Selection: the same, gqa_quest_sparse_attention"),
]
LATENT_SELECTION = [
    (2.05e6, 16.4, "derived: as for heads; not measured for latents"),
    (75.5e6, 68, "Selection: rope_aware_block_sparse_mla"),
]
SKETCH_SELECTION = [
    (4.4e6, 28, "derived: 1,000 pages, slower than block-sparse as at 8,192 pages, 62 to 36"),
    (35.9e6, 62, "Selection: one sequence of 8,192 pages, sketch2"),
    (287e6, 167, "Selection: 64 x 1,024 pages x 8 heads, sketch2_sparse_attention"),
]
WEIGHTS = [
    (121e6, 53.6, "Whole decode steps: Qwen3-1.7B, the rest, 1.5 ms of 28 layers and 3.4 GB"),
    (489e6, 143, "derived: Qwen3-8B, 12 layers, 2.21 ms less 12 x 41 us of attention"),
    (1.04e9, 355, "derived: GLM-4.7-Flash, 8 layers, 6.66 ms less 8 x 478 us of attention"),
]
# Flow -> what it keeps of a page and kv head, in keys; what choosing costs; whether it is for latents.
FLOWS = {
    "block_sparse_attention": (1, SELECTION, False),
    "gqa_quest_sparse_attention": (2, SELECTION, False),
    "sketch2_sparse_attention": (2.14, SKETCH_SELECTION, False),  # 40 % of 4.3 TB/s in 167 us
    "rope_aware_block_sparse_mla": (1, LATENT_SELECTION, True),
}
PRODUCTS_FLOPS = 673e12  # Products and the rest: 8,192 tokens x [12288, 2048]
PREFILL_FLOPS = 238e12  # Attention: prefill, Qwen3-1.7B heads, 8K
LATENT_PREFILL_FLOPS = 165e12  # Attention: prefill, latent absorbed, 20 heads, 4K

# Not measured by us. Two all-reduces a layer over NVLink: what starts one, and the rate of each GPU.
ALL_REDUCE_US = 15.0
ALL_REDUCE_BYTES_PER_S = 300e9


def read_curve(points, size):
    """Microseconds of a layer that reads `size` bytes."""
    if size <= points[0][0]:
        return points[0][1]
    before, after = points[-2], points[-1]
    for low, high in itertools.pairwise(points):
        if size <= high[0]:
            before, after = low, high
            break
    return before[1] + (size - before[0]) * (after[1] - before[1]) / (after[0] - before[0])


@dataclass(frozen=True)
class Shape:
    """Sizes in parameters, unless the name says bytes."""

    layers: int
    hidden: int
    vocabulary: int
    heads: int
    kv_heads: int  # 1 for latents, which every rank holds whole
    latent: bool
    kv_width: int  # numbers a token, layer and kv head
    field_width: int  # numbers a page, layer and kv head that scoring reads, for one row of a field
    pair_flops: int  # of prefill attention, a layer, for a token and one it looks at
    attention: int  # a layer
    dense_layers: int
    dense_mlp: int  # a layer
    experts: int
    experts_per_token: int
    expert: int
    shared: int  # a layer: shared experts and the router
    tied: bool  # the output head is the embedding

    @property
    def moe_layers(self):
        return self.layers - self.dense_layers

    def touched_bytes(self, tokens):
        """Weights that a step with so many tokens reads, the output head included. Experts are drawn evenly."""
        missed = (1 - self.experts_per_token / self.experts) ** tokens if self.experts else 0
        moe = self.moe_layers * (self.shared + self.experts * self.expert * (1 - missed))
        dense = self.dense_layers * self.dense_mlp
        return NUMBER * (self.layers * self.attention + dense + moe + self.hidden * self.vocabulary)

    @property
    def parameters(self):
        moe = self.moe_layers * (self.shared + self.experts * self.expert)
        layers = self.layers * self.attention + self.dense_layers * self.dense_mlp + moe
        return layers + (1 if self.tied else 2) * self.hidden * self.vocabulary

    @property
    def active(self):
        """Parameters that one token is multiplied with, the output head left out (prefill needs it once)."""
        moe = self.moe_layers * (self.shared + self.experts_per_token * self.expert)
        return self.layers * self.attention + self.dense_layers * self.dense_mlp + moe

    @property
    def kv_bytes(self):
        """Of one token, all layers and kv heads."""
        return NUMBER * self.layers * self.kv_heads * self.kv_width


def latent_parts(config):
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    lora, rope, nope = config["kv_lora_rank"], config["qk_rope_head_dim"], config["qk_nope_head_dim"]
    value, q_lora = config["v_head_dim"], config.get("q_lora_rank")
    query = heads * (nope + rope)
    queries = hidden * q_lora + q_lora * query if q_lora else hidden * query
    attention = queries + hidden * (lora + rope) + lora * heads * (nope + value) + heads * value * hidden
    return {
        "kv_heads": 1,
        "latent": True,
        "kv_width": lora + rope,
        "field_width": lora + rope,
        "pair_flops": 2 * heads * (2 * lora + rope),
        "attention": attention,
    }


def head_parts(config):
    hidden, heads, kv_heads = config["hidden_size"], config["num_attention_heads"], config["num_key_value_heads"]
    width = config.get("head_dim") or hidden // heads
    return {
        "kv_heads": kv_heads,
        "latent": False,
        "kv_width": 2 * width,
        "field_width": width,
        "pair_flops": 4 * heads * width,
        "attention": 2 * hidden * heads * width + 2 * hidden * kv_heads * width,
    }


def read_shape(path):
    """The shape of a folder with a config.json, or of the file itself."""
    path = Path(path)
    config = json.loads((path / "config.json" if path.is_dir() else path).read_text())
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    experts = config.get("n_routed_experts") or config.get("num_experts") or config.get("num_local_experts") or 0
    expert = 3 * hidden * (config.get("moe_intermediate_size") or config["intermediate_size"])
    parts = latent_parts(config) if config.get("kv_lora_rank") else head_parts(config)
    return Shape(
        layers=layers,
        hidden=hidden,
        vocabulary=config["vocab_size"],
        heads=config["num_attention_heads"],
        dense_layers=min(config.get("first_k_dense_replace", 0), layers) if experts else layers,
        dense_mlp=3 * hidden * config["intermediate_size"],
        experts=experts,
        experts_per_token=config.get("num_experts_per_tok", 0) if experts else 0,
        expert=expert if experts else 0,
        shared=config.get("n_shared_experts", 0) * expert + hidden * experts if experts else 0,
        tied=bool(config.get("tie_word_embeddings")),
        **parts,
    )


@dataclass(frozen=True)
class Costs:
    """Times of one replica: a model on `width` GPUs, dense or under one of FLOWS."""

    shape: Shape
    width: int = 1
    flow: str = "dense"
    budget_pages: int = 31
    all_reduce_us: float = ALL_REDUCE_US

    @property
    def sparse(self):
        return self.flow != "dense"

    @property
    def kv_ranks(self):
        """How many parts the cache has: kv heads are copied when there are fewer than ranks, latents always."""
        return 1 if self.shape.latent else min(self.width, self.shape.kv_heads)

    @property
    def pool_tokens(self):
        """Tokens that fit beside the weights; 0 or less: the model does not fit."""
        free = GPU_BYTES * GPU_SHARE - self.shape.parameters * NUMBER / self.width
        rows = FLOWS[self.flow][0] if self.sparse else 0
        fields = rows * self.shape.field_width / (PAGE * self.shape.kv_width)
        return int(free * self.kv_ranks / (self.shape.kv_bytes * (1 + fields)))

    def tokens_read(self, context):
        """Of a context, by the attention of one decode step."""
        return min(context, self.budget_pages * PAGE) if self.sparse else context

    def step_s(self, decodes, held, read, prefill=0, pairs=0):
        """A step: `decodes` sequences that hold `held` tokens and read `read`; `prefill` tokens of prompts, which look
        at `pairs` tokens in all."""
        shape, parts = self.shape, self.kv_ranks
        tokens = decodes + prefill
        us = max(self._weights_us(tokens), 1e6 * 2 * shape.active * prefill / (PRODUCTS_FLOPS * self.width))
        if decodes:
            us += shape.layers * self._attention_us(read / parts)
        if self.sparse and read < held:
            us += shape.layers * self._selection_us(held / parts)
        rate = LATENT_PREFILL_FLOPS if shape.latent else PREFILL_FLOPS
        us += 1e6 * shape.layers * shape.pair_flops * pairs / (rate * self.width)
        return 1e-6 * (us + self._all_reduces_us(tokens))

    def _weights_us(self, tokens):
        return self.shape.layers * read_curve(
            WEIGHTS, self.shape.touched_bytes(tokens) / self.shape.layers / self.width
        )

    def _attention_us(self, tokens):
        curve = LATENT_ATTENTION if self.shape.latent else ATTENTION
        return read_curve(curve, tokens * NUMBER * self.shape.kv_heads * self.shape.kv_width)

    def _selection_us(self, tokens):
        rows, curve, _ = FLOWS[self.flow]
        return read_curve(curve, tokens / PAGE * rows * NUMBER * self.shape.kv_heads * self.shape.field_width)

    def _all_reduces_us(self, tokens):
        if self.width == 1:
            return 0.0
        sent = 2 * (self.width - 1) / self.width * tokens * self.shape.hidden * NUMBER
        return 2 * self.shape.layers * (self.all_reduce_us + 1e6 * sent / ALL_REDUCE_BYTES_PER_S)
