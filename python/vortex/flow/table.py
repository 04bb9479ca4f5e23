"""The op table of the recorder: row by row that of src/flow/ir/ops.def, which says what each operator computes."""

from __future__ import annotations

from typing import NamedTuple

from vortex.flow.values import Side


class Row(NamedTuple):
    """One operator."""

    name: str
    arity: int  # tensors read
    sides: Side
    rule: str  # how the result's type follows: a function of infer.py
    attributes: tuple[str, ...] = ()  # keys of the node in JSON
    alpha: float = 0.0  # defaults
    beta: float = 0.0


_LINE = ("alpha", "beta")
_BOTH, _CACHE, _INDEXER = Side.BOTH, Side.CACHE, Side.INDEXER


def _unary(name: str, alpha: float, beta: float) -> Row:
    return Row(name, 1, _BOTH, "unary", _LINE, alpha, beta)


def _binary(name: str) -> Row:
    return Row(name, 2, _BOTH, "binary")


def _reduce(name: str, sides: Side) -> Row:
    return Row(name, 1, sides, "reduce", ("dim",))


def _interleave(name: str) -> Row:
    return Row(name, 1, _CACHE, "interleave", ("dim", "k"))


_ROWS = (
    Row("GeMM", 2, _BOTH, "gemm"),
    Row("GeMV", 2, _INDEXER, "gemm"),
    _reduce("Sum", _INDEXER),
    _reduce("Mean", _BOTH),
    _reduce("Max", _BOTH),
    _reduce("Min", _BOTH),
    _reduce("L2Norm", _BOTH),
    _reduce("LogSumExp", _INDEXER),
    _reduce("StdDev", _CACHE),
    _interleave("MeanInterleave"),
    _interleave("MaxInterleave"),
    _interleave("MinInterleave"),
    _interleave("L2NormInterleave"),
    _binary("Multiply"),
    Row("Add", 2, _BOTH, "binary", _LINE, 1, 1),
    _binary("Maximum"),
    _binary("Minimum"),
    _binary("WhereEqual"),
    _binary("WhereNotEqual"),
    _binary("WhereGreater"),
    _binary("WhereGreaterEqual"),
    _binary("WhereLess"),
    _binary("WhereLessEqual"),
    _unary("Relu", 0, 0),
    _unary("Sigmoid", 0, 0),
    _unary("Silu", 0, 0),
    _unary("Add_Mul", 0, 1),
    _unary("Abs", 0, 1),
    _unary("Log", 0, 1),
    _unary("Exp", 0, 1),
    Row("Softmax", 1, _INDEXER, "page_axis", ("dim", "scale")),
    Row("Normalize", 1, _INDEXER, "page_axis", ("dim",)),
    Row("Conv1d", 1, _INDEXER, "page_axis", ("dim", "k", "weight")),
    Row("Kron", 2, _INDEXER, "kron", ("dims",)),
    Row("Transpose", 1, _INDEXER, "transpose"),
    Row("Reshape", 1, _BOTH, "reshape", ("rows", "cols")),
    Row("MaskSlice", 1, _BOTH, "mask_slice", ("dim", "start", "end", *_LINE), 1, 0),
    Row("Rotate", 1, _BOTH, "unary"),
    Row("Project", 1, _INDEXER, "project", ("rows", "cols", "parameter")),
    Row("Write", 1, _CACHE, "store", ("field",)),
    Row("Fill", 0, _CACHE, "store", ("field", "alpha")),
    Row("Load", 1, _INDEXER, "load"),
    Row("Save", 1, _INDEXER, "store", ("field",)),
    Row("topK", 1, _INDEXER, "output"),
    Row("approxTopK", 1, _INDEXER, "output", ("tolerate_ratio",)),
    Row("top_p", 1, _INDEXER, "output", ("mass", "at_least", "at_most")),
    Row("TopK", 1, _INDEXER, "page_set", ("k",)),
    Row("Union", 2, _INDEXER, "union"),
)

OPS: dict[str, Row] = {row.name: row for row in _ROWS}
