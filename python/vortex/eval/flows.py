"""What flows there are, and whether one fits, before a model is loaded."""

from __future__ import annotations

import os
from dataclasses import dataclass

from vortex import _native
from vortex.config import VortexConfig


@dataclass(frozen=True)
class FlowInfo:
    """A built-in flow."""

    name: str
    attention: str
    """`gqa`, or `mla` for latents."""
    summary: str


@dataclass(frozen=True)
class Finding:
    """Something that pre-flight has to say."""

    severity: str
    """`error`, `warning` or `info`."""
    where: str
    """A key, or file:line:column of the flow."""
    message: str
    hint: str

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.severity}: {self.where}: {self.message}{hint}"


def list_flows() -> list[FlowInfo]:
    """The built-in flows, as `vortex flow list` has them."""
    return [FlowInfo(*flow) for flow in _native.list_flows()]


def preflight(
    config: VortexConfig, model: str | os.PathLike[str] | None = None, *, sweep: bool | None = None
) -> list[Finding]:
    """What `vortex flow check` finds: wrong settings, flows that do not load or compile, settings that make no sense
    together; errors first. Without an error an engine starts.

    With a `model`, of which only the config is read, the flow is compiled for its shapes; with `sweep`, which is the
    default without a model, for many shapes. ConfigurationError for values that no config can have.
    """
    name = None if model is None else os.fspath(model)
    return [
        Finding(*row) for row in _native.preflight(config.to_json(), name, name is None if sweep is None else sweep)
    ]
