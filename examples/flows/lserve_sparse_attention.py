"""LServe: Quest's bounds for each 16 tokens of a page, the best sub-page counts.

Paper: LServe, Efficient Long-sequence LLM Serving with Unified Sparse Attention (Yang et al., 2025).
Cost: 2 head_dim numbers per 16 tokens. Use: pages larger than 16, whose bounds would be loose. The page size is a
multiple of 16; at 16 it equals gqa_quest_sparse_attention.
"""

import torch
from vortex_torch.abs import ContextBase
from vortex_torch.cache import MaxInterleave as CMaxInterleave
from vortex_torch.cache import MinInterleave as CMinInterleave
from vortex_torch.flow import register, vFlow
from vortex_torch.indexer import Kron, Max, Maximum, Sum, topK

SUB_PAGE = 16


@register("lserve_sparse_attention")
class Lserve(vFlow):
    def __init__(self):
        super().__init__()
        self.times_max = Kron(dim=1)
        self.times_min = Kron(dim=1)
        self.bound = Maximum()
        self.over_channels = Sum(dim=2)
        self.best = Max(dim=1)
        self.output_func = topK()
        self.largest = CMaxInterleave(dim=1, k=SUB_PAGE)
        self.smallest = CMinInterleave(dim=1, k=SUB_PAGE)

    def create_cache(self, block_size: int, head_dim: int):
        parts = block_size // SUB_PAGE
        return {"max": (parts, head_dim), "min": (parts, head_dim)}

    def forward_cache(self, cache: dict[str, torch.Tensor], loc: torch.Tensor, ctx: ContextBase):
        self.largest(cache["k"], cache["max"], loc=loc, ctx=ctx)
        self.smallest(cache["k"], cache["min"], loc=loc, ctx=ctx)

    def forward_indexer(self, q: torch.Tensor, o: torch.Tensor, cache: dict[str, torch.Tensor], ctx: ContextBase):
        high = self.times_max(q, cache["max"], ctx=ctx)
        low = self.times_min(q, cache["min"], ctx=ctx)
        logits = self.over_channels(self.bound(high, low, ctx=ctx), ctx=ctx)
        self.output_func(self.best(logits, ctx=ctx), o, ctx=ctx)
