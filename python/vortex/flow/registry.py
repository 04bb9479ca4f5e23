"""The flows of this process, by the names they were registered under."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from vortex.errors import TraceError
from vortex.flow.fields import is_identifier
from vortex.flow.flow import FlowClass, vFlow, vFlowMLA
from vortex.flow.places import place_of_call
from vortex.flow.values import MAX_NAME_LENGTH

_REGISTRY: dict[str, FlowClass] = {}

Class = TypeVar("Class", bound=type[Any])


def register(name: str) -> Callable[[Class], Class]:
    """Gives the decorated flow class the name that configurations use. TraceError for a name that is taken."""
    at = place_of_call()
    if not is_identifier(name):
        raise TraceError(
            f"{name!r} is no name of a flow", at, f"letters, digits and _, not a digit first, at most {MAX_NAME_LENGTH}"
        )

    def add(flow: Class) -> Class:
        if not (isinstance(flow, type) and issubclass(flow, vFlow | vFlowMLA)):
            raise TraceError(f"'{name}' is no flow", at, "derive the class from vFlow or vFlowMLA")
        if name in _REGISTRY:
            raise TraceError(f"a flow '{name}' is already registered", at)
        _REGISTRY[name] = flow
        return flow

    return add


def registered() -> dict[str, FlowClass]:
    """All flows, in the order they were registered."""
    return dict(_REGISTRY)
