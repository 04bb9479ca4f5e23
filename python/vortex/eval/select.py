"""A flow on arrays of your own: which pages it would read, without a model."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from vortex import _native
from vortex.config import VortexConfig
from vortex.errors import InvalidArgumentError
from vortex.flow import LatentShape, PageShape, trace, vFlow, vFlowMLA
from vortex.flow.shapes import check_shape

FlowLike: TypeAlias = str | os.PathLike[str] | Mapping[str, Any] | type[vFlow] | type[vFlowMLA] | vFlow | vFlowMLA
"""A flow's name, its file, its graph, its class or an instance of it."""


class Selection(NamedTuple):
    """What one decode step reads. A row is one kv head."""

    pages: list[npt.NDArray[np.int32]]
    """By row: numbers of the pages read, ascending, the reserved ones among them."""
    scores: npt.NDArray[np.float32]
    """[rows, pages]: higher is better; NaN where a page did not compete: the reserved ones, and all of them when the
    budget holds all."""


def select_pages(
    flow: FlowLike,
    keys: npt.ArrayLike,
    values: npt.ArrayLike,
    queries: npt.ArrayLike,
    *,
    config: VortexConfig | None = None,
    scale: float | None = None,
    backend: str = "cpu",
    kv_dtype: str = "bfloat16",
) -> Selection:
    """Runs a flow on one sequence of one layer: keys and values [kv heads, tokens, head_dim], queries
    [kv heads, group, head_dim] of a step whose token is the last one.

    `config` gives the budget, the reserved pages, the page size and the type of fields; which flow it names does not
    count. `scale` is attention's, 1 / sqrt(head_dim) unless given; a graph has its own. `backend` is `cpu`, or
    `interpreter`, the slow reference. Keys and values are rounded to `kv_dtype`, as in a cache.

    InvalidArgumentError for shapes that do not fit; the flow's own errors: TraceError, ConfigurationError.
    """
    config = config or VortexConfig()
    k, v, q = _array("keys", keys, 3), _array("values", values, 3), _array("queries", queries, 3)
    width = k.shape[2]
    shape = PageShape(config.block_size, width, q.shape[1], 1 / math.sqrt(width) if scale is None else scale)
    return Selection(*_native.select_pages(_graph_json(flow, shape), k, v, q, config.to_json(), backend, kv_dtype))


def select_latent_pages(
    flow: FlowLike,
    latents: npt.ArrayLike,
    queries: npt.ArrayLike,
    *,
    kv_lora_rank: int = 512,
    config: VortexConfig | None = None,
    scale: float | None = None,
    backend: str = "cpu",
    kv_dtype: str = "bfloat16",
) -> Selection:
    """As select_pages() for a flow over latents [tokens, width], of which the first `kv_lora_rank` numbers have no
    position; queries are absorbed: [heads, width]. There is one row."""
    config = config or VortexConfig()
    c, q = _array("latents", latents, 2), _array("queries", queries, 2)
    width = c.shape[1]
    shape = LatentShape(
        config.block_size,
        kv_lora_rank,
        width - kv_lora_rank,
        q.shape[0],
        1 / math.sqrt(width) if scale is None else scale,
    )
    graph = _graph_json(flow, shape)
    return Selection(*_native.select_latent_pages(graph, c, q[np.newaxis], config.to_json(), backend, kv_dtype))


def _array(name: str, values: npt.ArrayLike, axes: int) -> npt.NDArray[np.float32]:
    try:
        array = np.ascontiguousarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"is no array of numbers: {error}", name) from None
    if array.ndim != axes or 0 in array.shape:
        raise InvalidArgumentError(f"has shape {list(np.shape(values))}", name, f"give {axes} axes, none of them empty")
    return array


def _graph_json(flow: FlowLike, shape: PageShape | LatentShape) -> str:
    check_shape(shape)
    if isinstance(flow, Mapping):
        return json.dumps(flow)
    if isinstance(flow, str | os.PathLike):
        path, name = _native.flow_request(os.fspath(flow))
        return _native.trace_flow(path, name, json.dumps(shape.to_json()))
    if isinstance(flow, vFlow | vFlowMLA) or (isinstance(flow, type) and issubclass(flow, vFlow | vFlowMLA)):
        return json.dumps(trace(flow, shape))
    raise TypeError(f"flow: a {type(flow).__name__} is none (give its name, file, graph, class or an instance of it)")
