"""Block-sparse attention with the mean score over the pages taken off. The shift keeps the order, up to rounding.

Paper: MoBA (Lu et al., 2025); the original system's example of a reduction over pages.
Cost: head_dim numbers a page. Use: as a pattern for scores relative to the whole context.
"""

import torch
from vortex_torch.abs import ContextBase
from vortex_torch.cache import Mean as CMean
from vortex_torch.flow import register, vFlow
from vortex_torch.indexer import Add, Mean, Multiply, Sum, topK


@register("centered_block_sparse_attention")
class CenteredBlockSparse(vFlow):
    def __init__(self):
        super().__init__()
        self.product = Multiply()
        self.dot = Sum(dim=2)
        self.over_heads = Mean(dim=1)
        self.over_pages = Mean(dim=0)
        self.less = Add(alpha=1.0, beta=-1.0)
        self.output_func = topK()
        self.reduction = CMean(dim=1)

    def create_cache(self, block_size: int, head_dim: int):
        return {"centroids": (1, head_dim)}

    def forward_cache(self, cache: dict[str, torch.Tensor], loc: torch.Tensor, ctx: ContextBase):
        self.reduction(cache["k"], cache["centroids"], loc=loc, ctx=ctx)

    def forward_indexer(self, q: torch.Tensor, o: torch.Tensor, cache: dict[str, torch.Tensor], ctx: ContextBase):
        dots = self.dot(self.product(q, cache["centroids"], ctx=ctx), ctx=ctx)
        score = self.over_heads(dots, ctx=ctx)
        mean = self.over_pages(score, ctx=ctx)
        self.output_func(self.less(score, mean, ctx=ctx), o, ctx=ctx)
