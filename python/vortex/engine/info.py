"""EngineInfo: what an engine decided when it was made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vortex.config import VortexConfig


@dataclass(frozen=True)
class EngineInfo:
    """The model and what was made of the settings. Sizes in tokens unless a name says otherwise."""

    model_path: str
    architecture: str
    attention: str
    """`gqa`, or `mla` where the cache holds latents."""
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab_size: int
    max_model_len: int
    """Most of one sequence, prompt and answer."""
    kv_tokens: int
    """That the cache holds."""
    kv_bytes: int
    file_bytes: int
    threads: int
    load_s: float
    end_ids: tuple[int, ...]
    """Tokens that end an answer."""
    has_chat_template: bool
    flow: str | None
    """None: dense."""
    vortex: VortexConfig | None

    @classmethod
    def from_native(cls, values: dict[str, Any]) -> EngineInfo:
        values = dict(values)
        config = values.pop("vortex_json")
        return cls(**values, vortex=VortexConfig.from_json(config) if config is not None else None)
