"""Learned query: the heads' absorbed queries, projected by trained weights to one vector, against the mean latent.

Paper: none, the original system's experiment. Weights: the parameter `compressor`, [width, heads * width] a layer;
without them the vector is the sum of the queries.
Cost: width numbers a page, and a product with the weights for each sequence. Use: with weights trained for the model.
"""

import torch
from vortex_torch.abs import ContextBase
from vortex_torch.cache import Mean as CMean
from vortex_torch.flow import register, vFlowMLA
from vortex_torch.indexer import GeMM, Project, topK


@register("learned_block_sparse_mla")
class LearnedMla(vFlowMLA):
    def __init__(self):
        super().__init__()
        self.gemm = GeMM()
        self.output_func = topK()
        self.reduction = CMean(dim=1)

    def create_cache(self, block_size: int, kv_lora_rank: int, qk_rope_head_dim: int):
        width = kv_lora_rank + qk_rope_head_dim
        self.project = Project("compressor", 1, width)
        return {"centroids": (1, width)}

    def forward_cache(self, cache: dict[str, torch.Tensor], loc: torch.Tensor, ctx: ContextBase):
        self.reduction(cache["latent"], cache["centroids"], loc=loc, ctx=ctx)

    def forward_indexer(self, q: torch.Tensor, o: torch.Tensor, cache: dict[str, torch.Tensor], ctx: ContextBase):
        query = self.project(q, ctx=ctx)
        self.output_func(self.gemm(query, cache["centroids"], ctx=ctx), o, ctx=ctx)
