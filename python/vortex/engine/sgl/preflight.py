"""The pre-flight of an engine file: nine steps, the first that fails is raised. No weights are loaded."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vortex import _native
from vortex.config import PREFIX, VortexConfig
from vortex.engine.sgl.engine_file import (
    EngineConfigError,
    default_model,
    find_module,
    module_places,
    read_engine_file,
)
from vortex.errors import VortexError


@dataclass
class _File:
    path: Path
    values: dict[str, Any] = field(default_factory=dict)
    module: Path = Path()
    text: str = ""

    def fault(self, key: str, problem: str, hint: str = "") -> EngineConfigError:
        return EngineConfigError(f"{key}: {problem}", str(self.path), hint)


def check_engine_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What is in an engine file that can work. EngineConfigError names the key, or the place in the flow, otherwise."""
    file = _File(Path(path))
    for step in _STEPS:
        step(file)
    return file.values


def _read(file: _File) -> None:
    file.values = read_engine_file(file.path)


def _block_size(file: _File) -> None:
    _power_of_two(file, "vortex_block_size")


def _workload_chunk_size(file: _File) -> None:
    _power_of_two(file, "vortex_workload_chunk_size")


def _reserved_blocks(file: _File) -> None:
    for key in ("vortex_block_reserved_bos", "vortex_block_reserved_eos"):
        if _present_whole(file, key) < 1:
            raise file.fault(key, f"{file.values[key]} is below 1", "at least one block is always read at each end")


def _layers_skip(file: _File) -> None:
    key = "vortex_layers_skip"
    layers = file.values.get(key)
    if layers is not None and not (isinstance(layers, list) and all(_whole(layer) is not None for layer in layers)):
        raise file.fault(key, f"{json.dumps(layers)} is not a list of layer numbers", "write [0, 1], [] or null")


def _module_path(file: _File) -> None:
    key = "vortex_module_path"
    module = file.values.get(key)
    if not isinstance(module, str) or not module.strip():
        raise file.fault(key, "no file is named", "name the flow's file")
    found = find_module(file.path, module)
    if found is None:
        tried = " and ".join(str(place) for place in module_places(file.path, module))
        raise file.fault(key, f"{module!r} does not exist", f"tried {tried}")
    file.module = found
    file.values[key] = str(found)


def _module_name(file: _File) -> None:
    key = "vortex_module_name"
    name = file.values.get(key)
    if not isinstance(name, str) or not name.strip():
        raise file.fault(key, "no flow is named", "give the name that the file registers")
    if file.module.suffix not in (".py", ".cc"):
        return  # what loads the file says which flows are in it
    file.text = file.module.read_text(encoding="utf-8", errors="replace")
    if not re.search(_REGISTERS + re.escape(name) + r"""["']""", file.text):
        raise file.fault(key, f"{file.module} does not register {name!r}", 'write @register("NAME") above its class')


def _flow(file: _File) -> None:
    model = file.values.get("model_path")
    if model is None:
        model = default_model()
    if not isinstance(model, str) or not model:
        raise file.fault("model_path", f"{json.dumps(model)} names no model", "give a name or a folder")
    own = {key: value for key, value in file.values.items() if key.startswith(PREFIX) and value is not None}
    try:
        findings = _native.preflight(VortexConfig.from_dict(own).to_json(), model, False)
    except VortexError as error:
        raise EngineConfigError(error.message, error.where or str(file.path), error.hint) from None
    for severity, where, message, hint in findings:
        if severity == "error":
            raise EngineConfigError(message, where, hint)


def _saves(file: _File) -> None:
    if "Save(" in file.text and file.values.get("disable_radix_cache") is not True:
        raise file.fault(
            "disable_radix_cache",
            "the flow saves state (Save), so it must be true",
            "this engine does not need it, the original does",
        )


def _power_of_two(file: _File, key: str) -> None:
    value = _present_whole(file, key)
    if value < 1 or value & (value - 1):
        raise file.fault(key, f"{file.values[key]} is not a power of two", "16 is usual")


def _present_whole(file: _File, key: str) -> int:
    if key not in file.values:
        raise file.fault(key, "it is missing", "write it out")
    value = _whole(file.values[key])
    if value is None:
        raise file.fault(key, f"{json.dumps(file.values[key])} is not a whole number", "write it without quotes")
    return value


def _whole(value: object) -> int | None:
    """An int, or a float equal to one; True and False are neither."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


_REGISTERS = r"""(?:\bregister|\bVORTEX_FLOW)\s*\(\s*(?:name\s*=\s*)?["']"""
_STEPS: tuple[Callable[[_File], None], ...] = (
    _read,
    _block_size,
    _workload_chunk_size,
    _reserved_blocks,
    _layers_skip,
    _module_path,
    _module_name,
    _flow,
    _saves,
)
