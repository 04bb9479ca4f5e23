"""Vortex: language models with programmable sparse attention.

>>> import vortex
>>> llm = vortex.Engine(model_path="recall-gqa", vortex=vortex.VortexConfig(module_name="sketch2_sparse_attention"))
>>> llm.generate("Hello", {"max_new_tokens": 16, "temperature": 0})["text"]

A flow's file imports `vortex.flow`, `vortex.indexer`, `vortex.cache` and `vortex.abs` (or the same names under
`vortex_torch`); none of these loads the engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vortex import bench, eval, flow, plot
    from vortex.config import VortexConfig
    from vortex.engine import Engine
    from vortex.errors import VortexError

__version__ = "0.1.0"
__all__ = ["Engine", "VortexConfig", "VortexError", "__version__", "bench", "eval", "flow", "plot"]

# Loaded when they are first asked for, so that recording a flow stays fast.
_HOMES = {"Engine": "vortex.engine", "VortexConfig": "vortex.config", "VortexError": "vortex.errors"}
_MODULES = ("bench", "eval", "flow", "plot")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"vortex.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'vortex' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
