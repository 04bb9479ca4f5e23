"""What create_cache returns, checked and turned into declarations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from vortex.errors import TraceError
from vortex.flow.shapes import Shape
from vortex.flow.values import FORMAT, MAX_ELEMENTS, MAX_EXTENT, MAX_FIELDS, MAX_NAME_LENGTH, Type
from vortex.names import SHORT, nearest

STORAGES = ("flow", "float32", "bfloat16", "float16", "fp8_e4m3", "fp8_e5m2", "int8", "int4", "int2", "int1")
RESERVED = ("k", "v", "latent", "kv_c", "k_pe")


class Field(NamedTuple):
    """A field that the flow declares: its rows and columns a page, and how they are stored."""

    name: str
    rows: int
    cols: int
    storage: str = "flow"

    @property
    def type(self) -> Type:
        return Type(FORMAT.PAGED, self.rows, self.cols)

    @property
    def dtype(self) -> str:
        return "bfloat16" if self.storage == "flow" else self.storage


def declared_fields(declared: Any, shape: Shape, where: str) -> list[Field]:
    """The fields of a create_cache. TraceError at `where`, the method, for anything that is not name -> (rows, cols) or
    (rows, cols, storage)."""
    if not isinstance(declared, Mapping):
        raise TraceError(
            f"create_cache returned a {type(declared).__name__}", where, 'return a dict: {"centroids": (1, head_dim)}'
        )
    if len(declared) > MAX_FIELDS:
        raise TraceError(f"create_cache declares {len(declared)} fields, at most {MAX_FIELDS}", where)
    return [_field(name, value, shape, where) for name, value in declared.items()]


def is_identifier(name: Any) -> bool:
    """Letters, digits and _, not a digit first."""
    return isinstance(name, str) and name.isascii() and name.isidentifier() and len(name) <= MAX_NAME_LENGTH


def _field(name: Any, value: Any, shape: Shape, where: str) -> Field:
    _check_name(name, where)
    items = tuple(value) if isinstance(value, tuple | list) else ()
    if len(items) not in (2, 3) or not all(isinstance(n, int) and not isinstance(n, bool) for n in items[:2]):
        raise TraceError(f"field '{name}' has shape {value!r}", where, "give (rows, cols) or (rows, cols, storage)")
    field = Field(name, *items)
    _check_extent(field, shape, where)
    if field.storage not in STORAGES:
        raise TraceError(
            f"field '{name}' has unknown storage {field.storage!r}",
            where,
            nearest(field.storage, STORAGES, SHORT) or f"use one of {', '.join(STORAGES)}",
        )
    return field


def _check_name(name: Any, where: str) -> None:
    if name in RESERVED:
        raise TraceError(
            f"create_cache declares '{name}', a reserved name",
            where,
            "k and v (latent for MLA) are always there; choose another name",
        )
    if not is_identifier(name):
        raise TraceError(
            f"{name!r} is no field name", where, f"letters, digits and _, not a digit first, at most {MAX_NAME_LENGTH}"
        )


def _check_extent(field: Field, shape: Shape, where: str) -> None:
    rows, cols = field.rows, field.cols
    if 1 <= rows <= MAX_EXTENT and 1 <= cols <= MAX_EXTENT and rows * cols <= MAX_ELEMENTS:
        return
    raise TraceError(
        f"field '{field.name}' has impossible shape [{rows}, {cols}] for group {shape.group}, head_dim "
        f"{shape.head_dim}, block_size {shape.page_tokens}",
        where,
        "an axis is empty: this flow needs a larger block_size or head_dim"
        if rows == 0 or cols == 0
        else f"each axis from 1 to {MAX_EXTENT}, {MAX_ELEMENTS} elements at most",
    )
