"""Block-sparse attention with a say for every query head: each head spreads its attention over the pages' centroids, a
page is worth what the keenest head gives it.

Paper: MoBA (Lu et al., 2025), with a softmax over pages per head as in NSA (Yuan et al., 2025).
Cost: head_dim numbers a page. Use: where the heads of a group want different pages.
"""

import torch
from vortex_torch.abs import ContextBase
from vortex_torch.cache import Mean as CMean
from vortex_torch.flow import register, vFlow
from vortex_torch.indexer import GeMM, Max, Softmax, topK

TEMPERATURE = 0.09  # about 1 / sqrt(128)


@register("gqa_block_sparse_attention")
class GqaBlockSparse(vFlow):
    def __init__(self):
        super().__init__()
        self.gemm = GeMM()
        self.softmax = Softmax(dim=0, scale=TEMPERATURE)
        self.best_head = Max(dim=2)
        self.output_func = topK()
        self.reduction = CMean(dim=1)

    def create_cache(self, block_size: int, head_dim: int):
        return {"centroids": (1, head_dim)}

    def forward_cache(self, cache: dict[str, torch.Tensor], loc: torch.Tensor, ctx: ContextBase):
        self.reduction(cache["k"], cache["centroids"], loc=loc, ctx=ctx)

    def forward_indexer(self, q: torch.Tensor, o: torch.Tensor, cache: dict[str, torch.Tensor], ctx: ContextBase):
        logits = self.gemm(q, cache["centroids"], ctx=ctx)
        shares = self.softmax(logits, ctx=ctx)
        self.output_func(self.best_head(shares, ctx=ctx), o, ctx=ctx)
