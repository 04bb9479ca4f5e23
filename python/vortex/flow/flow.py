"""vFlow and vFlowMLA: what an author derives from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from vortex.flow.recorder import ContextBase, PageIndices, PageLocation
from vortex.flow.shapes import LatentShape, PageShape
from vortex.flow.tensor import vTensor

FieldShape = tuple[int, int] | tuple[int, int, str]
"""Rows and columns of a field a page, and how it is stored when not in the flow's dtype: "int2", "float32", ..."""


class FlowBase:
    """What both kinds of flow do. The methods run once for each shape, to be recorded: tensors hold no numbers."""

    attention: ClassVar[str]

    def __init__(self) -> None:
        self._constructed = True

    def forward_cache(self, cache: Mapping[str, vTensor], loc: PageLocation, ctx: ContextBase) -> None:
        """Writes every declared field from the tokens of one finished page of one kv head."""
        raise NotImplementedError

    def forward_indexer(self, q: vTensor, o: PageIndices, cache: Mapping[str, vTensor], ctx: ContextBase) -> None:
        """Scores the pages of a row for q; ends in exactly one output operator. Runs at each decode step."""
        raise NotImplementedError


class vFlow(FlowBase):
    """A flow over keys and values: `k` and `v` are [1, block_size, head_dim], q is [1, group, head_dim]."""

    attention = "gqa"
    page_shape: PageShape
    """What the flow is recorded for; set before its methods run."""
    block_size: int
    head_dim: int

    def create_cache(self, block_size: int, head_dim: int) -> Mapping[str, FieldShape]:
        """Names and shapes of what the flow remembers of a page. `k` and `v` are always there."""
        raise NotImplementedError


class vFlowMLA(FlowBase):
    """A flow over latents (multi-head latent attention): `latent` is [1, block_size, kv_lora_rank + qk_rope_head_dim],
    q is [1, heads, that width], each head's query with the key projection absorbed."""

    attention = "mla"
    page_shape: LatentShape
    block_size: int
    kv_lora_rank: int
    qk_rope_head_dim: int

    def create_cache(self, block_size: int, kv_lora_rank: int, qk_rope_head_dim: int) -> Mapping[str, FieldShape]:
        """Names and shapes of what the flow remembers of a page. `latent` is always there."""
        raise NotImplementedError


Flow = vFlow | vFlowMLA
FlowClass = type[vFlow] | type[vFlowMLA]


def sizes(shape: Any) -> dict[str, int]:
    """The arguments of create_cache; a flow has them as attributes too."""
    if isinstance(shape, PageShape):
        return {"block_size": shape.page_tokens, "head_dim": shape.head_dim}
    return {
        "block_size": shape.page_tokens,
        "kv_lora_rank": shape.kv_lora_rank,
        "qk_rope_head_dim": shape.qk_rope_head_dim,
    }
