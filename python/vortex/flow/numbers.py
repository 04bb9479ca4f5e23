"""Numbers that authors give to operators, checked where they are given. Ranges follow from the op's rule (infer.py)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from operator import index
from typing import Any

from vortex.errors import TraceError
from vortex.flow.places import place_of_call
from vortex.flow.values import MAX_ELEMENTS

_LARGEST = 2**31 - 1


def integer(op: str, key: str, value: Any) -> int:
    """TraceError unless it is a whole number of 32 bits."""
    try:
        number = index(value)
    except TypeError:
        number = _LARGEST + 1
    if isinstance(value, bool) or abs(number) > _LARGEST:
        raise TraceError(f"{op}: {key} must be an integer, got {value!r}", place_of_call())
    return number


def real(op: str, key: str, value: Any) -> float:
    """The float32 nearest to it, which is what the graph carries. TraceError for what has none."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except struct.error:
        problem = "must be a number"
    except OverflowError:
        problem = "is out of float32's range"
    raise TraceError(f"{op}: {key} {problem}, got {value!r}", place_of_call())


def axes(op: str, value: Any) -> int:
    """Axes 1 and 2 as a mask of 1 and 2; 0, which the op's rule refuses, for any others."""
    dims = [integer(op, "dim", d) for d in (value if isinstance(value, Iterable) else (value,))]
    return sum(dims) if dims and set(dims) <= {1, 2} and len(set(dims)) == len(dims) else 0


def taps(op: str, value: Any) -> tuple[tuple[int, int, int], list[float]]:
    """A nested list [taps, rows, cols] as its shape and its numbers."""
    shape = (len(_list(op, value)), len(_list(op, value[0])), len(_list(op, value[0][0])))
    rows = [row for tap in value for row in _list(op, tap, shape[1])]
    if len(rows) * shape[2] > MAX_ELEMENTS:
        raise TraceError(f"{op}: weight has more than {MAX_ELEMENTS} numbers", place_of_call())
    return shape, [real(op, "weight", number) for row in rows for number in _list(op, row, shape[2])]


def _list(op: str, value: Any, length: int = 0) -> list[Any] | tuple[Any, ...]:
    if not isinstance(value, list | tuple) or not value or len(value) != (length or len(value)):
        raise TraceError(
            f"{op}: weight must be a list of lists of lists of numbers, [taps][rows][cols]",
            place_of_call(),
            "a kernel of three taps over a score is [[[0.25]], [[0.5]], [[0.25]]]",
        )
    return value
