"""Quest: per channel the largest and smallest key of a page bound the best logit any of its tokens can reach.

Paper: Quest, Query-Aware Sparsity for Efficient Long-Context LLM Inference (Tang et al., 2024).
Cost: 2 head_dim numbers a page. Use: retrieval of single tokens, where a centroid blurs them.
"""

import torch
from vortex_torch.abs import ContextBase
from vortex_torch.cache import Max as CMax
from vortex_torch.cache import Min as CMin
from vortex_torch.flow import register, vFlow
from vortex_torch.indexer import Max, Maximum, Multiply, Sum, topK


@register("gqa_quest_sparse_attention")
class GqaQuest(vFlow):
    def __init__(self):
        super().__init__()
        self.times_max = Multiply()
        self.times_min = Multiply()
        self.bound = Maximum()
        self.over_channels = Sum(dim=2)
        self.best_head = Max(dim=1)
        self.output_func = topK()
        self.largest = CMax(dim=1)
        self.smallest = CMin(dim=1)

    def create_cache(self, block_size: int, head_dim: int):
        return {"max": (1, head_dim), "min": (1, head_dim)}

    def forward_cache(self, cache: dict[str, torch.Tensor], loc: torch.Tensor, ctx: ContextBase):
        self.largest(cache["k"], cache["max"], loc=loc, ctx=ctx)
        self.smallest(cache["k"], cache["min"], loc=loc, ctx=ctx)

    def forward_indexer(self, q: torch.Tensor, o: torch.Tensor, cache: dict[str, torch.Tensor], ctx: ContextBase):
        high = self.times_max(q, cache["max"], ctx=ctx)
        low = self.times_min(q, cache["min"], ctx=ctx)
        logits = self.over_channels(self.bound(high, low, ctx=ctx), ctx=ctx)
        self.output_func(self.best_head(logits, ctx=ctx), o, ctx=ctx)
