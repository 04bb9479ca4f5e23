"""Quest without the first 8 channels, which rotary embeddings turn fastest and which say least about content.

Paper: Quest (Tang et al., 2024); the mask is the original system's example of MaskSlice.
Cost: 2 head_dim numbers a page. Use: a study of which channels matter. head_dim is at least 8.
"""

import torch
from vortex_torch.abs import ContextBase
from vortex_torch.cache import Max as CMax
from vortex_torch.cache import Min as CMin
from vortex_torch.flow import register, vFlow
from vortex_torch.indexer import MaskSlice, Max, Maximum, Multiply, Sum, topK

MASK_END = 8


@register("masked_quest_sparse_attention")
class MaskedQuest(vFlow):
    def __init__(self):
        super().__init__()
        self.times_max = Multiply()
        self.times_min = Multiply()
        self.bound = Maximum()
        self.mask = MaskSlice(0, MASK_END, dim=2, alpha=0.0, beta=1.0)
        self.keep = Multiply()
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
        bound = self.bound(high, low, ctx=ctx)
        kept = self.keep(bound, self.mask(bound, ctx=ctx), ctx=ctx)
        self.output_func(self.best_head(self.over_channels(kept, ctx=ctx), ctx=ctx), o, ctx=ctx)
