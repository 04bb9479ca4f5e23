"""The program that records a flow's file in a process of its own, so that no code of it runs where the engine does.

main() takes one JSON object: {"path", "name" or null, "shapes": [shape, ...], "out"} (shapes: read_shape). It writes to
`out` {"name", "attention", "flows", "files", "graphs": [graph or {"error"}, ...]}, or {"error"} alone when the file
cannot be loaded or has no such flow; an error is {"where", "message", "hint"}. Standard output belongs to the author.
"""

from __future__ import annotations

import json
from typing import Any

from vortex.compat.aliases import alias_vortex_torch
from vortex.compat.torch_names import stand_in_for_torch
from vortex.errors import VortexError
from vortex.flow.flow import FlowClass
from vortex.flow.loading import choose_flow, files_of_flow, load_flow_file
from vortex.flow.registry import registered
from vortex.flow.shapes import read_shape
from vortex.flow.tracing import trace


def main(request: str) -> int:
    """The exit status: 0 whenever an answer was written."""
    asked = json.loads(request)
    alias_vortex_torch()
    stand_in_for_torch()
    answer = _answer(asked["path"], asked["name"], asked["shapes"])
    with open(asked["out"], "w", encoding="utf-8") as out:
        json.dump(answer, out)
    return 0


def _answer(path: str, name: str | None, shapes: list[dict[str, Any]]) -> dict[str, Any]:
    try:
        load_flow_file(path)
        chosen, flow = choose_flow(path, name)
    except VortexError as error:
        return _error(error)
    graphs = [_graph(flow, shape, chosen) for shape in shapes]
    return {
        "name": chosen,
        "attention": flow.attention,
        "flows": list(registered()),
        "files": files_of_flow(path),
        "graphs": graphs,
    }


def _graph(flow: FlowClass, shape: dict[str, Any], name: str) -> dict[str, Any]:
    try:
        return trace(flow, read_shape(shape), name)
    except VortexError as error:
        return _error(error)


def _error(error: VortexError) -> dict[str, Any]:
    return {"error": {"where": error.where, "message": error.message, "hint": error.hint}}
