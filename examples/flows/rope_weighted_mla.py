"""rope_aware_block_sparse_mla with the two parts of a latent weighted: content (the compressed keys) and position (the
rotary key). One file for the family, whose members differ by two numbers.

Paper: none, the original system's study of what positions tell a selector.
Cost: width numbers a page. Use: a study; rope_weighted_block_sparse_mla_b50 ranks as rope_aware_block_sparse_mla.
"""

import torch
from vortex_torch.abs import ContextBase
from vortex_torch.cache import Mean as CMean
from vortex_torch.flow import register, vFlowMLA
from vortex_torch.indexer import GeMM, MaskSlice, Mean, Multiply, topK


class WeightedMla(vFlowMLA):
    CONTENT = 1.0
    POSITION = 0.0

    def __init__(self):
        super().__init__()
        self.mean = Mean(dim=1)
        self.weigh = Multiply()
        self.gemm = GeMM()
        self.output_func = topK()
        self.reduction = CMean(dim=1)

    def create_cache(self, block_size: int, kv_lora_rank: int, qk_rope_head_dim: int):
        self.weights = MaskSlice(0, kv_lora_rank, dim=2, alpha=self.CONTENT, beta=self.POSITION)
        return {"centroids": (1, kv_lora_rank + qk_rope_head_dim)}

    def forward_cache(self, cache: dict[str, torch.Tensor], loc: torch.Tensor, ctx: ContextBase):
        self.reduction(cache["latent"], cache["centroids"], loc=loc, ctx=ctx)

    def forward_indexer(self, q: torch.Tensor, o: torch.Tensor, cache: dict[str, torch.Tensor], ctx: ContextBase):
        query = self.mean(q, ctx=ctx)
        weighted = self.weigh(query, self.weights(query, ctx=ctx), ctx=ctx)
        self.output_func(self.gemm(weighted, cache["centroids"], ctx=ctx), o, ctx=ctx)


@register("rope_unaware_block_sparse_mla")
class RopeUnawareMla(WeightedMla):
    pass


@register("rope_weighted_block_sparse_mla_b10")
class RopeWeighted10(WeightedMla):
    CONTENT, POSITION = 0.90, 0.10


@register("rope_weighted_block_sparse_mla_b25")
class RopeWeighted25(WeightedMla):
    CONTENT, POSITION = 0.75, 0.25


@register("rope_weighted_block_sparse_mla_b50")
class RopeWeighted50(WeightedMla):
    CONTENT, POSITION = 0.50, 0.50


@register("rope_weighted_block_sparse_mla_b75")
class RopeWeighted75(WeightedMla):
    CONTENT, POSITION = 0.25, 0.75


@register("rope_weighted_block_sparse_mla_b90")
class RopeWeighted90(WeightedMla):
    CONTENT, POSITION = 0.10, 0.90


@register("rope_weighted_block_sparse_mla_b100")
class RopeWeighted100(WeightedMla):
    CONTENT, POSITION = 0.00, 1.00
