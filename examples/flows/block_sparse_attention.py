"""Block-sparse attention by page centroids: the mean key stands for the page, the mean query for the group.

Paper: MoBA, Mixture of Block Attention (Lu et al., 2025), without its training.
Cost: head_dim numbers a page. Use: the cheapest selector, when attention is smooth over pages.
"""

import torch
from vortex_torch.abs import ContextBase
from vortex_torch.cache import Mean as CMean
from vortex_torch.flow import register, vFlow
from vortex_torch.indexer import GeMM, Mean, topK


@register("block_sparse_attention")
class BlockSparse(vFlow):
    def __init__(self):
        super().__init__()
        self.mean = Mean(dim=1)
        self.gemm = GeMM()
        self.output_func = topK()
        self.reduction = CMean(dim=1)

    def create_cache(self, block_size: int, head_dim: int):
        return {"centroids": (1, head_dim)}

    def forward_cache(self, cache: dict[str, torch.Tensor], loc: torch.Tensor, ctx: ContextBase):
        self.reduction(cache["k"], cache["centroids"], loc=loc, ctx=ctx)

    def forward_indexer(self, q: torch.Tensor, o: torch.Tensor, cache: dict[str, torch.Tensor], ctx: ContextBase):
        query = self.mean(q, ctx=ctx)
        score = self.gemm(query, cache["centroids"], ctx=ctx)
        self.output_func(score, o, ctx=ctx)
