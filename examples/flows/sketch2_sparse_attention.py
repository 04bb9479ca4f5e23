"""Two-bit sketch: the rotated keys at two bits a channel and a scale a token, so close to the true logits that few
pages are enough. A page scores under each head as its best token does among the pages (a softmax, so that no head
outvoices the others); its best head counts.

Paper: none, our own; the rotation is that of QuIP# (Tseng et al., 2024), the levels those of Max (1960).
Cost: 2 head_dim bits and 2 bytes a token, 1.125 of Quest's bytes at head_dim 64 and pages of 16. Use: first choice for
decode. Dense accuracy from a fifth of Quest's pages.
"""

import torch
from vortex_torch.abs import ContextBase
from vortex_torch.cache import Rotate as CRotate
from vortex_torch.flow import register, vFlow
from vortex_torch.indexer import GeMM, Max, Rotate, Softmax, topK


@register("sketch2_sparse_attention")
class Sketch2(vFlow):
    def __init__(self):
        super().__init__()
        self.rotate = Rotate()
        self.gemm = GeMM()
        self.best_token = Max(dim=1)
        self.best_head = Max(dim=2)
        self.output_func = topK()
        self.sketch = CRotate()

    def create_cache(self, block_size: int, head_dim: int):
        self.softmax = Softmax(dim=0, scale=self.page_shape.scale)
        return {"sketch": (block_size, head_dim, "int2")}

    def forward_cache(self, cache: dict[str, torch.Tensor], loc: torch.Tensor, ctx: ContextBase):
        self.sketch(cache["k"], cache["sketch"], loc=loc, ctx=ctx)

    def forward_indexer(self, q: torch.Tensor, o: torch.Tensor, cache: dict[str, torch.Tensor], ctx: ContextBase):
        logits = self.gemm(self.rotate(q, ctx=ctx), cache["sketch"], ctx=ctx)
        shares = self.softmax(self.best_token(logits, ctx=ctx), ctx=ctx)
        self.output_func(self.best_head(shares, ctx=ctx), o, ctx=ctx)
