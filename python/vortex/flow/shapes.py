"""The shapes that a flow is recorded for."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from vortex.errors import ConfigurationError
from vortex.flow.values import MAX_ELEMENTS, MAX_EXTENT


class PageShape(NamedTuple):
    """What a vFlow is recorded for."""

    page_tokens: int
    head_dim: int
    group: int
    """Query heads that share a kv head."""
    scale: float
    """Attention is softmax(scale * q . k)."""

    @property
    def attention(self) -> str:
        return "gqa"

    def to_json(self) -> dict[str, Any]:
        return {**self._asdict(), "attention": "gqa"}


class LatentShape(NamedTuple):
    """What a vFlowMLA is recorded for."""

    page_tokens: int
    kv_lora_rank: int
    """Leading numbers of a latent: compressed keys and values, without positions."""
    qk_rope_head_dim: int
    """The numbers after them: a key of all heads, with its position."""
    heads: int
    """Query heads."""
    scale: float
    """Attention is softmax(scale * q . latent)."""

    @property
    def attention(self) -> str:
        return "mla"

    @property
    def head_dim(self) -> int:
        """Width of a latent and of a query."""
        return self.kv_lora_rank + self.qk_rope_head_dim

    @property
    def group(self) -> int:
        return self.heads

    def to_json(self) -> dict[str, Any]:
        return {
            "page_tokens": self.page_tokens,
            "head_dim": self.head_dim,
            "group": self.heads,
            "scale": self.scale,
            "attention": "mla",
            "kv_lora_rank": self.kv_lora_rank,
        }


Shape = PageShape | LatentShape


def read_shape(json: dict[str, Any]) -> Shape:
    """The shape of a request to the recorder: {"page_tokens", "head_dim", "group", "scale", "attention"}, and
    "kv_lora_rank" with latent attention."""
    tokens, width, group, scale = json["page_tokens"], json["head_dim"], json["group"], json["scale"]
    if json["attention"] == "gqa":
        return PageShape(tokens, width, group, scale)
    return LatentShape(tokens, json["kv_lora_rank"], width - json["kv_lora_rank"], group, scale)


def check_shape(shape: Shape) -> None:
    """ConfigurationError for sizes that no model has."""
    for name, value in shape._asdict().items():
        least = 0 if name == "qk_rope_head_dim" else 1
        if name != "scale" and not (isinstance(value, int) and least <= value <= MAX_EXTENT):
            raise ConfigurationError(f"{name} must be an integer from {least} to {MAX_EXTENT}, got {value}", "shape")
    if not (math.isfinite(shape.scale) and shape.scale > 0):
        raise ConfigurationError(f"scale must be above 0, got {shape.scale}", "shape")
    if max(shape.group, shape.page_tokens) * shape.head_dim > MAX_ELEMENTS:
        raise ConfigurationError(f"a page has more than {MAX_ELEMENTS} elements", "shape")
