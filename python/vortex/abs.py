"""Types that a flow's annotations name."""

from __future__ import annotations

from vortex.flow.recorder import ContextBase
from vortex.flow.tensor import as_vtensor, vTensor
from vortex.flow.values import FORMAT

__all__ = ["FORMAT", "ContextBase", "as_vtensor", "vTensor"]
