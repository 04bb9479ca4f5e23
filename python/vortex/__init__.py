"""Vortex: language models with programmable sparse attention.

>>> import vortex
>>> llm = vortex.Engine(model_path="recall-gqa", vortex=vortex.VortexConfig(module_name="sketch2_sparse_attention"))
>>> llm.generate("Hello", {"max_new_tokens": 16, "temperature": 0})["text"]

A flow's file imports `vortex.flow`, `vortex.indexer`, `vortex.cache` and `vortex.abs` (or the same names under
`vortex_torch`); none of these loads the engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Where each public name lives: loaded when it is first asked for, so that recording a flow stays fast.
_HOMES = {
    "Engine": "vortex.engine",
    "VortexConfig": "vortex.config",
    "VortexError": "vortex.errors",
}

__all__ = ["Engine", "VortexConfig", "VortexError", "__version__"]  # noqa: F822


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'vortex' has no attribute '{name}'")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_HOMES))
