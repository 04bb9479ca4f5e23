"""Block-sparse attention weighted by how much the page's values can add: the mean norm of its tokens' values.

Paper: the original system's example of a field made from the values.
Cost: head_dim + 1 numbers a page. Use: models with many near-zero values (attention sinks inside the text).
"""

import torch
from vortex_torch.abs import ContextBase
from vortex_torch.cache import L2Norm as CL2Norm
from vortex_torch.cache import Mean as CMean
from vortex_torch.flow import register, vFlow
from vortex_torch.indexer import GeMM, Mean, Multiply, topK


@register("venergy_gated_centroid")
class ValueEnergy(vFlow):
    def __init__(self):
        super().__init__()
        self.mean = Mean(dim=1)
        self.gemm = GeMM()
        self.gate = Multiply()
        self.output_func = topK()
        self.centroid = CMean(dim=1)
        self.norm = CL2Norm(dim=2)
        self.energy = CMean(dim=1)

    def create_cache(self, block_size: int, head_dim: int):
        return {"centroids": (1, head_dim), "v_energy": (1, 1)}

    def forward_cache(self, cache: dict[str, torch.Tensor], loc: torch.Tensor, ctx: ContextBase):
        self.centroid(cache["k"], cache["centroids"], loc=loc, ctx=ctx)
        norms = self.norm(cache["v"], None, loc=loc, ctx=ctx)
        self.energy(norms, cache["v_energy"], loc=loc, ctx=ctx)

    def forward_indexer(self, q: torch.Tensor, o: torch.Tensor, cache: dict[str, torch.Tensor], ctx: ContextBase):
        dot = self.gemm(self.mean(q, ctx=ctx), cache["centroids"], ctx=ctx)
        self.output_func(self.gate(dot, cache["v_energy"], ctx=ctx), o, ctx=ctx)
