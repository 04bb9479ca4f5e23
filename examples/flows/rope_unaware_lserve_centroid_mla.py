"""lserve_centroid_mla without positions: only the part of the query that meets compressed keys asks.

Paper: as lserve_centroid_mla; the mask is the original system's study of what positions tell a selector.
Cost: width numbers per 16 tokens. Use: a study; the page size is a multiple of 16.
"""

import torch
from vortex_torch.abs import ContextBase
from vortex_torch.cache import MeanInterleave as CMeanInterleave
from vortex_torch.flow import register, vFlowMLA
from vortex_torch.indexer import GeMM, MaskSlice, Max, Mean, Multiply, topK

SUB_PAGE = 16


@register("rope_unaware_lserve_centroid_mla")
class RopeUnawareLserveCentroidMla(vFlowMLA):
    def __init__(self):
        super().__init__()
        self.mean = Mean(dim=1)
        self.keep = Multiply()
        self.gemm = GeMM()
        self.best = Max(dim=1)
        self.output_func = topK()
        self.reduction = CMeanInterleave(dim=1, k=SUB_PAGE)

    def create_cache(self, block_size: int, kv_lora_rank: int, qk_rope_head_dim: int):
        self.content = MaskSlice(0, kv_lora_rank, dim=2)
        return {"centroids": (block_size // SUB_PAGE, kv_lora_rank + qk_rope_head_dim)}

    def forward_cache(self, cache: dict[str, torch.Tensor], loc: torch.Tensor, ctx: ContextBase):
        self.reduction(cache["latent"], cache["centroids"], loc=loc, ctx=ctx)

    def forward_indexer(self, q: torch.Tensor, o: torch.Tensor, cache: dict[str, torch.Tensor], ctx: ContextBase):
        query = self.mean(q, ctx=ctx)
        kept = self.keep(query, self.content(query, ctx=ctx), ctx=ctx)
        score = self.gemm(kept, cache["centroids"], ctx=ctx)
        self.output_func(self.best(score, ctx=ctx), o, ctx=ctx)
