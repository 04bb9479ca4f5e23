"""Records a flow for one shape, as a graph in the form of src/flow/ir/json.h."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vortex.errors import ConfigurationError, TraceError, VortexError
from vortex.flow.fields import declared_fields, is_identifier
from vortex.flow.flow import Flow, FlowBase, FlowClass, sizes
from vortex.flow.places import place_of_exception, place_of_function
from vortex.flow.recorder import Recorder
from vortex.flow.registry import registered
from vortex.flow.shapes import Shape, check_shape
from vortex.flow.values import Side

_BASE = {"gqa": "vFlow", "mla": "vFlowMLA"}
_ATTENTION = {"gqa": "grouped-query attention (gqa)", "mla": "latent attention (mla)"}


def trace(flow: FlowClass | Flow, shape: Shape, name: str | None = None) -> dict[str, Any]:
    """The graph of a flow for a shape. Runs the flow's constructor, if a class is given, and its methods once.

    Errors: TraceError with the author's file:line:column, the operator and the shapes; ConfigurationError when the flow
    is for the other kind of attention, or the shape is impossible.
    """
    name = name or name_of(flow)
    if not is_identifier(name):
        raise TraceError(f"{name!r} is no name of a flow", name)
    check_shape(shape)
    if flow.attention != shape.attention:
        raise ConfigurationError(
            f"this flow is for {_ATTENTION[flow.attention]}, the model has {_ATTENTION[shape.attention]}", name
        )
    made = guarded(flow, place_of_function(flow.__init__) or name) if isinstance(flow, type) else flow
    _check_constructed(made)
    return _record(made, shape, name)


def name_of(flow: FlowClass | Flow) -> str:
    """The name it is registered under; that of its class otherwise."""
    kind = flow if isinstance(flow, type) else type(flow)
    names = [name for name, each in registered().items() if each is kind]
    return names[0] if names else kind.__name__


def guarded(function: Callable[..., Any], where: str, *arguments: Any) -> Any:
    """What an author's function returns; what it raises becomes a TraceError at its own line."""
    try:
        return function(*arguments)
    except VortexError:
        raise
    except (Exception, SystemExit) as error:
        raise exception_of_author(error, where) from error


def exception_of_author(error: BaseException, where: str) -> TraceError:
    text = " ".join(str(error).split())
    return TraceError(
        f"the flow raised {type(error).__name__}{': ' if text else ''}{text}", place_of_exception(error, where)
    )


def _check_constructed(flow: Flow) -> None:
    if "_constructed" in vars(flow):
        return
    raise TraceError(
        f"{type(flow).__name__}.__init__ does not call that of {_BASE[flow.attention]}",
        place_of_function(type(flow).__init__),
        "begin it with super().__init__()",
    )


def _record(flow: Flow, shape: Shape, name: str) -> dict[str, Any]:
    _set_shape(flow, shape)
    declared = _call(flow, "create_cache", name, *sizes(shape).values())
    fields = declared_fields(declared, shape, _place(flow, "create_cache", name))
    recorder = Recorder(shape, fields)
    _call(flow, "forward_cache", name, recorder.cache(), recorder.location, recorder.context)
    recorder.side = Side.INDEXER
    _call(flow, "forward_indexer", name, recorder.query(), recorder.indices, recorder.cache(), recorder.context)
    _check_finished(recorder, flow, name)
    return _graph(recorder, shape, name)


def _set_shape(flow: Flow, shape: Shape) -> None:
    for key, value in {"page_shape": shape, **sizes(shape)}.items():
        setattr(flow, key, value)


def _call(flow: Flow, method: str, name: str, *arguments: Any) -> Any:
    where = _place(flow, method, name)
    if getattr(getattr(type(flow), method), "__module__", "") == FlowBase.__module__:
        raise TraceError(
            f"{type(flow).__name__} has no {method}", name, "a flow has create_cache, forward_cache and forward_indexer"
        )
    return guarded(getattr(flow, method), where, *arguments)


def _place(flow: Flow, method: str, otherwise: str) -> str:
    return place_of_function(getattr(type(flow), method)) or otherwise


def _check_finished(recorder: Recorder, flow: Flow, name: str) -> None:
    if not recorder.output:
        raise TraceError(
            "forward_indexer has no output",
            _place(flow, "forward_indexer", name),
            "end it with topK()(score, o, ctx=ctx) or another output operator",
        )
    recorder.check_written(_place(flow, "forward_cache", name))


def _graph(recorder: Recorder, shape: Shape, name: str) -> dict[str, Any]:
    return {
        "format": "vortex-flow/1",
        "name": name,
        "shape": shape.to_json(),
        "fields": [field._asdict() for field in recorder.fields.values()],
        "cache": recorder.nodes[Side.CACHE],
        "indexer": recorder.nodes[Side.INDEXER],
    }
