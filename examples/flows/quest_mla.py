"""Quest over latents: per channel the largest and smallest of each 16 latents bound the best logit any of them can
reach; best sub-page, best head.

Papers: Quest (Tang et al., 2024) for the bound, LServe (Yang et al., 2025) for the sub-pages.
Cost: 2 width numbers per 16 tokens. Use: retrieval of single tokens, where a centroid blurs them. The page size is a
multiple of 16.
"""

import torch
from vortex_torch.abs import ContextBase
from vortex_torch.cache import MaxInterleave as CMaxInterleave
from vortex_torch.cache import MinInterleave as CMinInterleave
from vortex_torch.flow import register, vFlowMLA
from vortex_torch.indexer import Kron, Max, Maximum, Sum, topK

SUB_PAGE = 16


@register("quest_mla")
class QuestMla(vFlowMLA):
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

    def create_cache(self, block_size: int, kv_lora_rank: int, qk_rope_head_dim: int):
        parts, width = block_size // SUB_PAGE, kv_lora_rank + qk_rope_head_dim
        return {"max": (parts, width), "min": (parts, width)}

    def forward_cache(self, cache: dict[str, torch.Tensor], loc: torch.Tensor, ctx: ContextBase):
        self.largest(cache["latent"], cache["max"], loc=loc, ctx=ctx)
        self.smallest(cache["latent"], cache["min"], loc=loc, ctx=ctx)

    def forward_indexer(self, q: torch.Tensor, o: torch.Tensor, cache: dict[str, torch.Tensor], ctx: ContextBase):
        high = self.times_max(q, cache["max"], ctx=ctx)
        low = self.times_min(q, cache["min"], ctx=ctx)
        logits = self.over_channels(self.bound(high, low, ctx=ctx), ctx=ctx)
        self.output_func(self.best(logits, ctx=ctx), o, ctx=ctx)
