"""Centroids over latents: the mean latent stands for the page, the mean of the heads' absorbed queries asks.

Paper: MoBA, Mixture of Block Attention (Lu et al., 2025), without its training; latents are those of DeepSeek-V2
(2024). Cost: width numbers a page. Use: the cheapest selector over latents; loses single tokens that stand out.
"""

import torch
from vortex_torch.abs import ContextBase
from vortex_torch.cache import Mean as CMean
from vortex_torch.flow import register, vFlowMLA
from vortex_torch.indexer import GeMM, Mean, topK


@register("rope_aware_block_sparse_mla")
class RopeAwareMla(vFlowMLA):
    def __init__(self):
        super().__init__()
        self.mean = Mean(dim=1)
        self.gemm = GeMM()
        self.output_func = topK()
        self.reduction = CMean(dim=1)

    def create_cache(self, block_size: int, kv_lora_rank: int, qk_rope_head_dim: int):
        return {"centroids": (1, kv_lora_rank + qk_rope_head_dim)}

    def forward_cache(self, cache: dict[str, torch.Tensor], loc: torch.Tensor, ctx: ContextBase):
        self.reduction(cache["latent"], cache["centroids"], loc=loc, ctx=ctx)

    def forward_indexer(self, q: torch.Tensor, o: torch.Tensor, cache: dict[str, torch.Tensor], ctx: ContextBase):
        query = self.mean(q, ctx=ctx)
        score = self.gemm(query, cache["centroids"], ctx=ctx)
        self.output_func(score, o, ctx=ctx)
