"""Sketches of latents: every channel of the rotated latents at one or two bits, and a scale a token. A page scores
under each head as its best token does among the pages (a softmax, so that no head outvoices the others); its best head
counts. One file for both, which differ by the bits.

Paper: none, our own; the rotation is that of QuIP# (Tseng et al., 2024), one bit is SimHash (Charikar, 2002), two bits
have the levels of Max (1960). Cost: width bits, or 2 width, and 2 bytes a token. Use: first choice for latents; a few
pages at one bit have dense accuracy.
"""

import torch
from vortex_torch.abs import ContextBase
from vortex_torch.cache import Rotate as CRotate
from vortex_torch.flow import register, vFlowMLA
from vortex_torch.indexer import GeMM, Max, Rotate, Softmax, topK


class SketchMla(vFlowMLA):
    def __init__(self, storage: str):
        super().__init__()
        self.storage = storage
        self.rotate = Rotate()
        self.gemm = GeMM()
        self.best_token = Max(dim=1)
        self.best_head = Max(dim=2)
        self.output_func = topK()
        self.sketch = CRotate()

    def create_cache(self, block_size: int, kv_lora_rank: int, qk_rope_head_dim: int):
        self.softmax = Softmax(dim=0, scale=self.page_shape.scale)
        return {"sketch": (block_size, kv_lora_rank + qk_rope_head_dim, self.storage)}

    def forward_cache(self, cache: dict[str, torch.Tensor], loc: torch.Tensor, ctx: ContextBase):
        self.sketch(cache["latent"], cache["sketch"], loc=loc, ctx=ctx)

    def forward_indexer(self, q: torch.Tensor, o: torch.Tensor, cache: dict[str, torch.Tensor], ctx: ContextBase):
        logits = self.gemm(self.rotate(q, ctx=ctx), cache["sketch"], ctx=ctx)
        shares = self.softmax(self.best_token(logits, ctx=ctx), ctx=ctx)
        self.output_func(self.best_head(shares, ctx=ctx), o, ctx=ctx)


@register("sketch1_mla")
class Sketch1Mla(SketchMla):
    def __init__(self):
        super().__init__("int1")


@register("sketch2_mla")
class Sketch2Mla(SketchMla):
    def __init__(self):
        super().__init__("int2")
