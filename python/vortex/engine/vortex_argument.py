"""Every form in which the sparse attention of an engine may be given, as one VortexConfig or None."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from vortex.config import PREFIX, VortexConfig, parse_object

SWITCH = "enable_vortex_sparsity"


def split_flat(keywords: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The flat keys of sparse attention (`vortex_*` and its switch), and the other keywords."""
    names = {key for key in keywords if key.startswith(PREFIX) and key.removeprefix(PREFIX) != "config"}
    flat = {key: value for key, value in keywords.items() if key in names or key == SWITCH}
    return flat, {key: value for key, value in keywords.items() if key not in flat}


def read_vortex(vortex: object, flat: Mapping[str, Any]) -> VortexConfig | None:
    """`vortex` is an object, a mapping, JSON text or None; `flat` counts only without it, and only when its switch is
    on. TypeError for another type, ConfigurationError for unknown keys."""
    if vortex is not None:
        _discard(flat, "an object is given as vortex")
        return _from_value(vortex)
    if not flat.get(SWITCH, False):
        _discard(flat, f"{SWITCH} is not on: attention is dense")
        return None
    return VortexConfig.from_dict({key: value for key, value in flat.items() if key != SWITCH}, "Engine")


def _from_value(vortex: object) -> VortexConfig | None:
    if isinstance(vortex, VortexConfig):
        return vortex
    if isinstance(vortex, str):
        vortex = parse_object(vortex, "vortex")
    if not isinstance(vortex, Mapping):
        kind = type(vortex).__name__
        raise TypeError(f"vortex: a {kind} is no configuration (give a VortexConfig, a dict, JSON text or None)")
    own = {key: value for key, value in vortex.items() if key != SWITCH}
    config = VortexConfig.from_dict(own)
    return config if vortex.get(SWITCH, True) else None


def _discard(flat: Mapping[str, Any], why: str) -> None:
    keys = sorted(key for key in flat if key != SWITCH)
    if keys:
        warnings.warn(f"{', '.join(keys)}: discarded, {why}", stacklevel=4)
