"""Centroids of each 16 latents of a page against the mean query; the best sub-page counts.

Paper: LServe's hierarchical pages (Yang et al., 2025) with centroids for bounds.
Cost: width numbers per 16 tokens. Use: pages larger than 16. The page size is a multiple of 16; at 16 it equals
rope_aware_block_sparse_mla.
"""

import torch
from vortex_torch.abs import ContextBase
from vortex_torch.cache import MeanInterleave as CMeanInterleave
from vortex_torch.flow import register, vFlowMLA
from vortex_torch.indexer import GeMM, Max, Mean, topK

SUB_PAGE = 16


@register("lserve_centroid_mla")
class LserveCentroidMla(vFlowMLA):
    def __init__(self):
        super().__init__()
        self.mean = Mean(dim=1)
        self.gemm = GeMM()
        self.best = Max(dim=1)
        self.output_func = topK()
        self.reduction = CMeanInterleave(dim=1, k=SUB_PAGE)

    def create_cache(self, block_size: int, kv_lora_rank: int, qk_rope_head_dim: int):
        return {"centroids": (block_size // SUB_PAGE, kv_lora_rank + qk_rope_head_dim)}

    def forward_cache(self, cache: dict[str, torch.Tensor], loc: torch.Tensor, ctx: ContextBase):
        self.reduction(cache["latent"], cache["centroids"], loc=loc, ctx=ctx)

    def forward_indexer(self, q: torch.Tensor, o: torch.Tensor, cache: dict[str, torch.Tensor], ctx: ContextBase):
        score = self.gemm(self.mean(q, ctx=ctx), cache["centroids"], ctx=ctx)
        self.output_func(self.best(score, ctx=ctx), o, ctx=ctx)
