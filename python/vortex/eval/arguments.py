"""Arguments as the native module takes them: checked here, where their names are known."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, SupportsIndex

from vortex.config import VortexConfig
from vortex.errors import ConfigurationError

_MOST = 2**31


def whole(name: str, value: object, least: int = 0) -> int:
    """ConfigurationError for anything but an integer from `least` to 2^31."""
    if isinstance(value, SupportsIndex) and not isinstance(value, bool):
        number = value.__index__()
        if least <= number <= _MOST:
            return number
    raise ConfigurationError(f"{value!r} is not a whole number from {least} to {_MOST}", name)


def whole_numbers(name: str, values: object) -> list[int]:
    return [whole(name, value) for value in as_list(name, values)]


def shares(name: str, values: object) -> list[float]:
    """ConfigurationError for anything but numbers; what they may be is checked with the rest of a config."""
    listed = as_list(name, values)
    for value in listed:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigurationError(f"{value!r} is not a number", name)
    return [float(value) for value in listed]


def texts(name: str, values: object) -> list[str]:
    """ConfigurationError for anything but texts and paths."""
    listed = as_list(name, values)
    for value in listed:
        if not isinstance(value, str | os.PathLike):
            raise ConfigurationError(f"{value!r} is no text and no path", name)
    return [os.fspath(value) for value in listed]


def configs(name: str, values: object) -> list[VortexConfig]:
    """ConfigurationError for anything but VortexConfigs and mappings of their fields."""
    return [_config(name, value) for value in as_list(name, values)]


def as_list(name: str, values: object) -> list[Any]:
    """One value is a list of one."""
    if isinstance(values, str | Mapping) or not hasattr(values, "__iter__"):
        return [values]
    return list(values)


def _config(name: str, value: object) -> VortexConfig:
    if isinstance(value, VortexConfig):
        return value
    if isinstance(value, Mapping):
        return VortexConfig.from_dict(value, name)
    raise ConfigurationError(f"a {type(value).__name__} is no configuration", name, "give a VortexConfig or a dict")
