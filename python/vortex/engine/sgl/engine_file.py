"""Engine files: what is in one, and where the flow that it names lies."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from vortex.config import parse_object
from vortex.errors import ConfigurationError

DEFAULT_MODEL = "Qwen/Qwen3-1.7B"


class EngineConfigError(ConfigurationError):
    """An engine file that cannot work."""


def read_engine_file(path: Path) -> dict[str, Any]:
    """Its JSON object, or EngineConfigError."""
    try:
        return parse_object(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise EngineConfigError(f"cannot be read: {error}", str(path), "check the path") from None
    except ConfigurationError as error:
        raise EngineConfigError(error.message, error.where, error.hint) from None


def module_places(file: Path, module: str) -> list[Path]:
    """Where a flow's file may lie: as it is named, which may be in the working folder, then beside the engine file."""
    return [Path(module), file.parent / module]


def find_module(file: Path, module: str) -> Path | None:
    """The first of those places where there is a file."""
    return next((place for place in module_places(file, module) if place.is_file()), None)


def default_model() -> str:
    """What the original takes where a file names no model; said, never silent."""
    warnings.warn(f"model_path: not given, so it is {DEFAULT_MODEL}", stacklevel=4)
    return DEFAULT_MODEL
