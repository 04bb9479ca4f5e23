"""The engine for Python: Engine, and what it takes and gives."""

from vortex.config import VortexConfig
from vortex.engine.engine import Engine
from vortex.engine.explanation import ExplainedStep, Explanation
from vortex.engine.info import EngineInfo
from vortex.engine.results import FinishReason, MetaInfo, Result, SparsityReport, Timings

__all__ = [
    "Engine",
    "EngineInfo",
    "ExplainedStep",
    "Explanation",
    "FinishReason",
    "MetaInfo",
    "Result",
    "SparsityReport",
    "Timings",
    "VortexConfig",
]
