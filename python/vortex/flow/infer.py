"""Which applications of an operator are right, and the type of the result. The rules are those of src/flow/ir/infer.cc;
a test holds the two against each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from vortex.flow.table import Row
from vortex.flow.values import FORMAT, MAX_ELEMENTS, MAX_EXTENT, MAX_NAME_LENGTH, MAX_SET_PAGES, Side, Type


class Refused(Exception):
    """An application that breaks a rule: what is wrong with it, and what to do. The recorder adds the place."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Application(NamedTuple):
    """One use of an operator. `stored` is the declared field that a store names, if it names one."""

    side: Side
    row: Row
    attributes: Mapping[str, Any]
    inputs: tuple[Type, ...]
    stored: Type | None = None


def infer(use: Application) -> Type | None:
    """The result's type; None for stores and outputs, which make no tensor. Refused when a rule is broken."""
    try:
        _check_use(use)
        _check_numbers(use)
        made = _RULES[use.row.rule](use)
        if made and (max(made.rows, made.cols) > MAX_EXTENT or made.elements > MAX_ELEMENTS):
            raise Refused(f"result [{made.rows}, {made.cols}] exceeds {MAX_ELEMENTS} elements a page")
        return made
    except Refused as fault:
        shapes = ", ".join(x.text(use.side) for x in use.inputs)
        raise Refused(f"{use.row.name}({shapes}): {fault.message}", fault.hint) from None


def _check_use(use: Application) -> None:
    row, sets = use.row, use.row.name == "Union"
    if not row.sides & use.side:
        raise Refused(f"not available in {use.side.method}", f"use it in {row.sides.method}")
    if len(use.inputs) != row.arity:
        raise Refused(f"takes {row.arity} tensors, got {len(use.inputs)}")
    if any((x.format is FORMAT.PAGES) != sets for x in use.inputs):
        raise Refused("joins results of TopK" if sets else "a set of pages is not a tensor")


def _check_numbers(use: Application) -> None:
    has = use.attributes
    for key in ("alpha", "beta", "scale", "tolerate_ratio", "mass"):
        if key in has and not math.isfinite(has[key]):
            raise Refused(f"{key} must be a finite number")
    if "tolerate_ratio" in has and not 0 <= has["tolerate_ratio"] <= 1:
        raise Refused(f"tolerate_ratio must be between 0 and 1, got {has['tolerate_ratio']:g}")
    if "mass" in has and not 0 < has["mass"] <= 1:
        raise Refused(f"mass must be above 0 and at most 1, got {has['mass']:g}")
    if "at_least" in has:
        _check_bounds(has["at_least"], has["at_most"])
    if "k" in has and not 1 <= has["k"] <= MAX_SET_PAGES:
        raise Refused(f"k must be 1 to {MAX_SET_PAGES}, got {has['k']}")


def _check_bounds(least: int, most: int) -> None:
    """How many pages top_p may take; at_most 0 leaves it to the budget."""
    if least < 0 or not 0 <= most <= MAX_SET_PAGES or 0 < most < least:
        raise Refused(f"needs 0 <= at_least <= at_most <= {MAX_SET_PAGES}, got {least} and {most}")


def _made(use: Application, rows: int, cols: int) -> Type:
    """Batched iff all inputs are; else ragged."""
    batched = use.side is Side.INDEXER and all(x.format is FORMAT.BATCHED for x in use.inputs)
    return Type(FORMAT.BATCHED if batched else FORMAT.RAGGED, rows, cols)


def _broadcasts(a: int, b: int) -> bool:
    return a == b or a == 1 or b == 1


def _load_hint(x: Type) -> str:
    return "Load the field first" if x.format is FORMAT.PAGED else ""


def _unary(use: Application) -> Type:
    return _made(use, use.inputs[0].rows, use.inputs[0].cols)


def _binary(use: Application) -> Type:
    x, y = use.inputs
    if not (_broadcasts(x.rows, y.rows) and _broadcasts(x.cols, y.cols)):
        raise Refused("inner axes must be equal or 1")
    return _made(use, max(x.rows, y.rows), max(x.cols, y.cols))


def _gemm(use: Application) -> Type:
    x, y = use.inputs
    if x.cols != y.cols:
        raise Refused("last axes must be equal: out = y times x transposed")
    if use.row.name == "GeMV" and not x.rows == y.rows == 1:
        raise Refused("middle axes must be 1", "use GeMM")
    return _made(use, y.rows, x.rows)


def _reduce(use: Application) -> Type:
    (x,), dim = use.inputs, use.attributes["dim"]
    if dim == 1:
        return _made(use, 1, x.cols)
    if dim == 2:
        return _made(use, x.rows, 1)
    if dim != 0 or use.side is Side.CACHE:
        raise Refused(f"dim must be {'0, 1 or 2' if use.side is Side.INDEXER else '1 or 2'}, got {dim}")
    if x.format is not FORMAT.RAGGED:
        raise Refused("dim 0 needs a ragged tensor", _load_hint(x))
    return Type(FORMAT.BATCHED, x.rows, x.cols)


def _interleave(use: Application) -> Type:
    (x,), dim, k = use.inputs, use.attributes["dim"], use.attributes["k"]
    if dim not in (1, 2):
        raise Refused(f"dim must be 1 or 2, got {dim}")
    extent = x.rows if dim == 1 else x.cols
    if extent % k:
        raise Refused(f"axis {dim} of size {extent} is not divisible by k = {k}")
    return _made(use, x.rows // k, x.cols) if dim == 1 else _made(use, x.rows, x.cols // k)


def _page_axis(use: Application) -> Type:
    (x,), dim = use.inputs, use.attributes["dim"]
    if dim != 0:
        raise Refused(f"dim must be 0, got {dim}")
    if x.format is not FORMAT.RAGGED:
        raise Refused("needs a ragged tensor", _load_hint(x))
    if "weight" in use.attributes:
        _check_weight(use.attributes["k"], use.attributes["weight"], x)
    return _made(use, x.rows, x.cols)


def _check_weight(taps: int, weight: list[float], x: Type) -> None:
    if len(weight) != taps * x.elements:
        raise Refused(f"weight must be [{taps}, {x.rows}, {x.cols}], has {len(weight)} numbers")
    if not all(map(math.isfinite, weight)):
        raise Refused("weight must be finite numbers")


def _kron(use: Application) -> Type:
    (x, y), dims = use.inputs, use.attributes["dims"]
    if not 1 <= dims <= 3:
        raise Refused("dims must name axis 1, axis 2 or both")
    on_rows, on_cols = dims & 1, dims & 2
    if not ((on_rows or _broadcasts(x.rows, y.rows)) and (on_cols or _broadcasts(x.cols, y.cols))):
        raise Refused("axes outside dims must be equal or 1")
    rows = x.rows * y.rows if on_rows else max(x.rows, y.rows)
    return _made(use, rows, x.cols * y.cols if on_cols else max(x.cols, y.cols))


def _transpose(use: Application) -> Type:
    return _made(use, use.inputs[0].cols, use.inputs[0].rows)


def _reshape(use: Application) -> Type:
    (x,), rows, cols = use.inputs, use.attributes["rows"], use.attributes["cols"]
    if x.format is FORMAT.PAGED and use.side is Side.INDEXER:
        raise Refused("cannot reshape a field", _load_hint(x))
    if rows < 1 or cols < 1 or rows * cols != x.elements:
        raise Refused(f"cannot become [{rows}, {cols}]: {x.elements} elements a page")
    return _made(use, rows, cols)


def _mask_slice(use: Application) -> Type:
    (x,), has = use.inputs, use.attributes
    if has["dim"] not in (1, 2):
        raise Refused(f"dim must be 1 or 2, got {has['dim']}")
    extent = x.rows if has["dim"] == 1 else x.cols
    if not 0 <= has["start"] <= has["end"] <= extent:
        raise Refused(f"needs 0 <= start <= end <= {extent}, got {has['start']} and {has['end']}")
    return _made(use, x.rows, x.cols)


def _project(use: Application) -> Type:
    (x,), rows, cols = use.inputs, use.attributes["rows"], use.attributes["cols"]
    if x.format is not FORMAT.BATCHED:
        raise Refused("needs a batched tensor", "project the query, not pages")
    letters = len(use.attributes["parameter"].encode())
    if not 1 <= letters <= MAX_NAME_LENGTH:
        raise Refused(f"the parameter's name has {letters} letters, 1 to {MAX_NAME_LENGTH} are allowed")
    if rows < 1 or cols < 1 or x.elements % (rows * cols):
        raise Refused(f"the {x.elements} numbers are not whole parts of [{rows}, {cols}]")
    return _made(use, rows, cols)


def _load(use: Application) -> Type:
    (x,) = use.inputs
    if x.format is not FORMAT.PAGED:
        raise Refused("loads a field", 'pass cache["name"]')
    return _made(use, x.rows, x.cols)


def _store(use: Application) -> None:
    if use.stored is None:
        raise Refused("names no declared field")
    if not use.inputs:
        return
    (x,) = use.inputs
    if (x.rows, x.cols) != (use.stored.rows, use.stored.cols):
        raise Refused(
            f"the field is [{use.stored.rows}, {use.stored.cols}]",
            "declare the shape that is written in create_cache",
        )
    if use.row.name == "Save" and x.format is not FORMAT.RAGGED:
        raise Refused("saves a ragged tensor", _load_hint(x))


_SCORE_HINTS = {
    FORMAT.BATCHED: "a batched score is the same for every page",
    FORMAT.PAGED: "Load the field first",
    FORMAT.RAGGED: "reduce the inner axes, for instance with Max(1) and Max(2)",
}


def _output(use: Application) -> None:
    (score,) = use.inputs
    if score != Type(FORMAT.RAGGED, 1, 1):
        raise Refused("the score must be ragged [S, 1, 1]", _SCORE_HINTS[score.format])


def _page_set(use: Application) -> Type:
    _output(use)
    return Type(FORMAT.PAGES, 1, 1)


def _union(use: Application) -> None:
    """Its inputs were looked at when its use was."""


_RULES: dict[str, Callable[[Application], Type | None]] = {
    "unary": _unary,
    "binary": _binary,
    "gemm": _gemm,
    "reduce": _reduce,
    "interleave": _interleave,
    "page_axis": _page_axis,
    "kron": _kron,
    "transpose": _transpose,
    "reshape": _reshape,
    "mask_slice": _mask_slice,
    "project": _project,
    "load": _load,
    "store": _store,
    "output": _output,
    "page_set": _page_set,
    "union": _union,
}
