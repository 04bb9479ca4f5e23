"""Engines from the original's engine files: one flat JSON object of `vortex_*` keys and engine keywords."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from vortex.engine.engine import Engine
from vortex.engine.sgl.engine_file import EngineConfigError, default_model, find_module, read_engine_file
from vortex.engine.sgl.preflight import check_engine_config
from vortex.engine.vortex_argument import SWITCH
from vortex.errors import ConfigurationError

__all__ = ["DEFAULTS", "EngineConfigError", "check_engine_config", "get_engine", "with_defaults"]

Source: TypeAlias = Mapping[str, Any] | str | os.PathLike[str]

# They differ from VortexConfig's own.
DEFAULTS: Mapping[str, Any] = {
    SWITCH: True,
    "vortex_topk_val": 29,
    "vortex_topk_ratio": 0.0,
    "vortex_block_reserved_bos": 1,
    "vortex_block_reserved_eos": 2,
    "vortex_layers_skip": [0],
    "vortex_max_seq_lens": 20480,
    "vortex_block_size": 16,
    "vortex_workload_chunk_size": 32,
    "vortex_dtype": "bfloat16",
    "vortex_compilation_cache_dir": "~/.vortex_compilation_cache",
    "kv_cache_dtype": "auto",
    "mem_fraction_static": 0.8,
    "attention_backend": "flashinfer",
    "disable_overlap_schedule": True,
    "disable_cuda_graph": False,
    "tp_size": 1,
}
_DEFAULT_FLOW = {
    "vortex_module_name": "example_block_sparse_attention_cls",
    "vortex_module_path": "submissions/example_block_sparse_attention.py",
}


def get_engine(config: Source | None = None, **keywords: Any) -> Engine:
    """The engine that an engine file describes: its path, or what is in it; `keywords` win over it. What neither says
    is as in DEFAULTS. Null stands for the default; a `vortex_layers_skip` of [] skips none."""
    values = with_defaults({**_read(config), **keywords})
    return Engine(**values)


def with_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords of Engine, all said."""
    given = {key: value for key, value in values.items() if value is not None}
    flow = {} if given.keys() & _DEFAULT_FLOW.keys() else _DEFAULT_FLOW
    out = {**DEFAULTS, **flow, **given}
    out.setdefault("page_size", out["vortex_block_size"])
    if "model_path" not in out:
        out["model_path"] = default_model()
    return out


def _read(config: Source | None) -> Mapping[str, Any]:
    if config is None:
        return {}
    if isinstance(config, Mapping):
        return config
    if not isinstance(config, str | os.PathLike):
        kind = type(config).__name__
        raise ConfigurationError(f"a {kind} is no engine configuration", "config", "give an object or its file")
    path = Path(config)
    return _beside(path, read_engine_file(path))


def _beside(file: Path, values: dict[str, Any]) -> dict[str, Any]:
    """A flow's file that is not in the working folder may lie beside the engine file."""
    key = "vortex_module_path"
    if isinstance(values.get(key), str):
        values[key] = str(find_module(file, values[key]) or values[key])
    return values
