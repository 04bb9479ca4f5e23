"""Quest on sub-pages: bounds of the keys per channel for each four tokens, best sub-page, best head.

Paper: Quest (Tang et al., 2024) for the bound.
Cost: 2 head_dim numbers per four tokens, four times Quest's at pages of 16. Use: accuracy above Quest where memory is
no concern; a sketch does better for less.
"""

import torch
from vortex_torch.abs import ContextBase
from vortex_torch.cache import MaxInterleave as CMaxInterleave
from vortex_torch.cache import MinInterleave as CMinInterleave
from vortex_torch.flow import register, vFlow
from vortex_torch.indexer import Kron, Max, Maximum, Sum, topK

TOKENS = 4


@register("quest_subpage")
class QuestSubpage(vFlow):
    def __init__(self):
        super().__init__()
        self.times_max = Kron(dim=1)
        self.times_min = Kron(dim=1)
        self.bound = Maximum()
        self.over_channels = Sum(dim=2)
        self.best = Max(dim=1)
        self.output_func = topK()
        self.largest = CMaxInterleave(dim=1, k=TOKENS)
        self.smallest = CMinInterleave(dim=1, k=TOKENS)

    def create_cache(self, block_size: int, head_dim: int):
        return {"max": (block_size // TOKENS, head_dim), "min": (block_size // TOKENS, head_dim)}

    def forward_cache(self, cache: dict[str, torch.Tensor], loc: torch.Tensor, ctx: ContextBase):
        self.largest(cache["k"], cache["max"], loc=loc, ctx=ctx)
        self.smallest(cache["k"], cache["min"], loc=loc, ctx=ctx)

    def forward_indexer(self, q: torch.Tensor, o: torch.Tensor, cache: dict[str, torch.Tensor], ctx: ContextBase):
        high = self.times_max(q, cache["max"], ctx=ctx)
        low = self.times_min(q, cache["min"], ctx=ctx)
        logits = self.over_channels(self.bound(high, low, ctx=ctx), ctx=ctx)
        self.output_func(self.best(logits, ctx=ctx), o, ctx=ctx)
