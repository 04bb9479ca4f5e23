"""VortexConfig, where the original has it."""

from vortex.config import VortexConfig

__all__ = ["VortexConfig"]
