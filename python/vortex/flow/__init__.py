"""Flows in Python: which pages of a long context a row of attention reads.

>>> from vortex.flow import vFlow, register
>>> from vortex.indexer import GeMM, Mean, topK
>>> from vortex.cache import Mean as CMean
>>>
>>> @register("block_sparse")
... class BlockSparse(vFlow):
...     def __init__(self):
...         super().__init__()
...         self.mean, self.gemm, self.top_k, self.centroid = Mean(dim=1), GeMM(), topK(), CMean(dim=1)
...
...     def create_cache(self, block_size, head_dim):
...         return {"centroids": (1, head_dim)}
...
...     def forward_cache(self, cache, loc, ctx):
...         self.centroid(cache["k"], cache["centroids"], loc=loc, ctx=ctx)
...
...     def forward_indexer(self, q, o, cache, ctx):
...         score = self.gemm(self.mean(q, ctx=ctx), cache["centroids"], ctx=ctx)
...         self.top_k(score, o, ctx=ctx)

docs/python-flows.md says the rest. `trace` records a flow as the graph that the engine compiles.
"""

from vortex.flow.flow import vFlow, vFlowMLA
from vortex.flow.registry import register, registered
from vortex.flow.shapes import LatentShape, PageShape
from vortex.flow.tracing import trace

__all__ = ["LatentShape", "PageShape", "register", "registered", "trace", "vFlow", "vFlowMLA"]
