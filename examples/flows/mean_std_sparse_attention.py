"""Centroid and spread: the mean and the standard deviation of the keys per channel give a soft bound of the best logit
of a page under each head; the best head counts.

Paper: none, our own; between Quest's bound (Tang et al., 2024) and a centroid.
Cost: 2 head_dim numbers a page. Use: as Quest, where single outliers make its bounds loose.
"""

import torch
from vortex_torch.abs import ContextBase
from vortex_torch.cache import Mean as CMean
from vortex_torch.cache import StdDev as CStdDev
from vortex_torch.flow import register, vFlow
from vortex_torch.indexer import Abs, Add, GeMM, Max, topK

SPREAD = 2.0  # standard deviations


@register("mean_std_sparse_attention")
class MeanStd(vFlow):
    def __init__(self):
        super().__init__()
        self.centre = GeMM()
        self.abs = Abs()
        self.reach = GeMM()
        self.bound = Add(alpha=1.0, beta=SPREAD)
        self.best_head = Max(dim=2)
        self.output_func = topK()
        self.mean = CMean(dim=1)
        self.spread = CStdDev(dim=1)

    def create_cache(self, block_size: int, head_dim: int):
        return {"mean": (1, head_dim), "spread": (1, head_dim)}

    def forward_cache(self, cache: dict[str, torch.Tensor], loc: torch.Tensor, ctx: ContextBase):
        self.mean(cache["k"], cache["mean"], loc=loc, ctx=ctx)
        self.spread(cache["k"], cache["spread"], loc=loc, ctx=ctx)

    def forward_indexer(self, q: torch.Tensor, o: torch.Tensor, cache: dict[str, torch.Tensor], ctx: ContextBase):
        centre = self.centre(q, cache["mean"], ctx=ctx)
        reach = self.reach(self.abs(q, ctx=ctx), cache["spread"], ctx=ctx)
        self.output_func(self.best_head(self.bound(centre, reach, ctx=ctx), ctx=ctx), o, ctx=ctx)
