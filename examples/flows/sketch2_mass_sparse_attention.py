"""Two-bit sketch, scored by attention mass: a page scores as the share of attention that all heads together would give
it, from logits estimated at two bits a channel.

Paper: none, our own; see sketch2_sparse_attention for the sketch. Cost: as there, and a softmax over the pages. Use:
text whose attention is spread over many tokens; closest to dense in distribution.
"""

import torch
from vortex_torch.abs import ContextBase
from vortex_torch.cache import Rotate as CRotate
from vortex_torch.flow import register, vFlow
from vortex_torch.indexer import Add_Mul, GeMM, LogSumExp, Rotate, Softmax, Sum, topK


@register("sketch2_mass_sparse_attention")
class Sketch2Mass(vFlow):
    def __init__(self):
        super().__init__()
        self.rotate = Rotate()
        self.gemm = GeMM()
        self.page_mass = LogSumExp(dim=1)
        self.share = Softmax(dim=0)
        self.over_heads = Sum(dim=2)
        self.output_func = topK()
        self.sketch = CRotate()

    def create_cache(self, block_size: int, head_dim: int):
        self.scale = Add_Mul(alpha=0.0, beta=self.page_shape.scale)
        return {"sketch": (block_size, head_dim, "int2")}

    def forward_cache(self, cache: dict[str, torch.Tensor], loc: torch.Tensor, ctx: ContextBase):
        self.sketch(cache["k"], cache["sketch"], loc=loc, ctx=ctx)

    def forward_indexer(self, q: torch.Tensor, o: torch.Tensor, cache: dict[str, torch.Tensor], ctx: ContextBase):
        products = self.gemm(self.rotate(q, ctx=ctx), cache["sketch"], ctx=ctx)
        logits = self.scale(products, ctx=ctx)
        shares = self.share(self.page_mass(logits, ctx=ctx), ctx=ctx)
        self.output_func(self.over_heads(shares, ctx=ctx), o, ctx=ctx)
