"""VortexConfig: the sparse attention of an engine. With one it is on, without it is off."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from vortex.errors import ConfigurationError
from vortex.names import nearest

PREFIX = "vortex_"


@dataclass(slots=True)
class VortexConfig:
    """Names and defaults are the original's. Values are checked when an engine is made: docs/configuration.md."""

    topk_val: int = 30
    """Pages selected for each row, beside the reserved ones."""
    max_topk_val: int | None = None
    """Upper bound of the pages selected by score."""
    layers_skip: list[int] | None = None
    """Layers that stay dense."""
    block_reserved_bos: int = 1
    """First pages, always read."""
    block_reserved_eos: int = 1
    """Last pages, always read."""
    max_seq_lens: int = -1
    """Longest sequence in tokens; below 0: the context length."""
    workload_chunk_size: int = 32
    """A hint without effect on the CPU."""
    dtype: str = "bfloat16"
    """Of what the flow computes and stores."""
    module_path: str | None = None
    """File with the flow; None: a built-in one."""
    module_name: str | None = None
    """Name of the flow."""
    block_size: int = 16
    """Tokens of a page, the unit of selection."""
    topk_ratio: float = 0.0
    """Budget as a share of the pages; the larger of it and topk_val counts."""
    compilation_cache_dir: str | None = None
    """Where compiled flows and policies are kept."""
    schedule_policy: str | None = None
    """Body of a function in C++ that returns the budget."""
    attention_backend: str = "flashinfer"
    """A hint without effect on the CPU."""
    impl_backend: str = "triton"
    """A hint without effect on the CPU."""
    use_tensor_core: bool = False
    """A hint without effect on the CPU."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "vortex") -> VortexConfig:
        """Keys with or without `vortex_`. ConfigurationError for one that is not known, or comes twice."""
        own: dict[str, Any] = {}
        for key, value in values.items():
            name = key.removeprefix(PREFIX) if isinstance(key, str) else key
            if name not in FIELD_NAMES:
                raise ConfigurationError(f"{key!r} is not known", where, _nearest(name))
            if name in own:
                raise ConfigurationError(f"{name} is given with and without the prefix {PREFIX}", where, "keep one")
            own[name] = value
        return cls(**own)

    @classmethod
    def from_json(cls, text: str, where: str = "vortex") -> VortexConfig:
        """From one JSON object. ConfigurationError for any other text."""
        return cls.from_dict(parse_object(text, where), where)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def to_json(self) -> str:
        """All fields, on one line."""
        try:
            return json.dumps(asdict(self))
        except TypeError as error:
            raise ConfigurationError(
                str(error), "vortex", "fields are numbers, texts, lists of layers or None"
            ) from None


FIELD_NAMES = tuple(field.name for field in fields(VortexConfig))


def parse_object(text: str, where: str) -> dict[str, Any]:
    """A JSON object, or ConfigurationError."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"not JSON: {error}", where) from None
    if not isinstance(value, dict):
        raise ConfigurationError("not a JSON object", where, 'write {"topk_val": 30}')
    return value


def _nearest(name: object) -> str:
    return nearest(name, FIELD_NAMES) or "docs/configuration.md has them all"
