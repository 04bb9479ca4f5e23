"""Block-sparse attention with memory: a page's score decays by half a step, so pages that mattered stay a while.

Paper: H2O (Zhang et al., 2023) has the idea of accumulated scores; the original system's example of Load and Save.
Cost: head_dim + 1 numbers a page, one of them written each step. Use: generations that return to the same passage.
"""

import torch
from vortex_torch.abs import ContextBase
from vortex_torch.cache import Fill as CFill
from vortex_torch.cache import Mean as CMean
from vortex_torch.flow import register, vFlow
from vortex_torch.indexer import Add, GeMM, Load, Mean, Save, topK

DECAY = 0.5


@register("running_avg_block_sparse")
class RunningAverage(vFlow):
    def __init__(self):
        super().__init__()
        self.mean = Mean(dim=1)
        self.gemm = GeMM()
        self.load = Load()
        self.fuse = Add(alpha=DECAY, beta=1.0)
        self.save = Save()
        self.output_func = topK()
        self.reduction = CMean(dim=1)
        self.zero = CFill(0.0)

    def create_cache(self, block_size: int, head_dim: int):
        return {"centroids": (1, head_dim), "running_score": (1, 1)}

    def forward_cache(self, cache: dict[str, torch.Tensor], loc: torch.Tensor, ctx: ContextBase):
        self.reduction(cache["k"], cache["centroids"], loc=loc, ctx=ctx)
        self.zero(cache["running_score"], loc=loc, ctx=ctx)

    def forward_indexer(self, q: torch.Tensor, o: torch.Tensor, cache: dict[str, torch.Tensor], ctx: ContextBase):
        now = self.gemm(self.mean(q, ctx=ctx), cache["centroids"], ctx=ctx)
        before = self.load(cache["running_score"], ctx=ctx)
        score = self.fuse(before, now, ctx=ctx)
        self.save(score, cache["running_score"], ctx=ctx)
        self.output_func(score, o, ctx=ctx)
