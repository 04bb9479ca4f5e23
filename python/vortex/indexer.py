"""Operators of forward_indexer: score the pages of a row for a query.

They are made in a flow's constructor and called as `y = self.op(x, ctx=ctx)`. Shapes are [L, rows, cols]: L is 1 for
the query and what is made from it alone, S (the pages) for all else; L = 1 repeats, and the inner axes broadcast when
one of them is 1. In the formulas s is the page, i a row, d a column.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from vortex.errors import TraceError
from vortex.flow import numbers
from vortex.flow.operators import (
    IndexerBinary,
    IndexerOperator,
    IndexerOutput,
    IndexerUnary,
    Line,
    Mask,
    Plain,
    Reduction,
    ScaledLine,
    Shaped,
    WeightedSum,
)
from vortex.flow.places import place_of_call
from vortex.flow.recorder import ContextBase, PageIndices
from vortex.flow.tensor import vTensor

__all__ = [
    "Abs", "Add", "Add_Mul", "Conv1d", "Exp", "GeMM", "GeMV", "Kron", "L2Norm", "LearnedQuery", "Load", "Log",
    "LogSumExp", "MaskSlice", "Max", "Maximum", "Mean", "Min", "Minimum", "Multiply", "Normalize", "Parameter",
    "Project", "Relu", "Reshape", "Rotate", "Save", "Sigmoid", "Silu", "Softmax", "Sum", "TopK", "Transpose",
    "Union", "WhereEqual", "WhereGreater", "WhereGreaterEqual", "WhereLess", "WhereLessEqual", "WhereNotEqual",
    "approxTopK", "topK", "top_p",
]  # fmt: skip


class GeMM(Plain, IndexerBinary):
    """out[s, a, b] = sum over d of y[s, a, d] * x[s, b, d]: [S, rows of y, rows of x]."""

    op = "GeMM"


class GeMV(Plain, IndexerBinary):
    """GeMM of one row and one row: [S, 1, 1]."""

    op = "GeMV"


# Reductions over dim 1 or 2; over dim 0, the middle pages of a ragged tensor, the result is batched.


class Sum(Reduction, IndexerUnary):
    """Sum over axis `dim`, kept with size 1."""

    op = "Sum"


class Mean(Reduction, IndexerUnary):
    """Mean over axis `dim`, kept with size 1."""

    op = "Mean"


class Max(Reduction, IndexerUnary):
    """Largest over axis `dim`, kept with size 1."""

    op = "Max"


class Min(Reduction, IndexerUnary):
    """Smallest over axis `dim`, kept with size 1."""

    op = "Min"


class L2Norm(Reduction, IndexerUnary):
    """Root of the sum of squares over axis `dim`, kept with size 1."""

    op = "L2Norm"


class LogSumExp(Reduction, IndexerUnary):
    """ln of the sum of exp(x) over axis `dim`, kept with size 1. Not in the original."""

    op = "LogSumExp"


# Two inputs, element by element.


class Multiply(Plain, IndexerBinary):
    """x * y"""

    op = "Multiply"


class Add(WeightedSum, IndexerBinary):
    """alpha * x + beta * y"""

    op = "Add"


class Maximum(Plain, IndexerBinary):
    """The larger of x and y."""

    op = "Maximum"


class Minimum(Plain, IndexerBinary):
    """The smaller of x and y."""

    op = "Minimum"


class WhereEqual(Plain, IndexerBinary):
    """0 where x == y, else -1e30."""

    op = "WhereEqual"


class WhereNotEqual(Plain, IndexerBinary):
    """0 where x != y, else -1e30."""

    op = "WhereNotEqual"


class WhereGreater(Plain, IndexerBinary):
    """0 where x > y, else -1e30."""

    op = "WhereGreater"


class WhereGreaterEqual(Plain, IndexerBinary):
    """0 where x >= y, else -1e30."""

    op = "WhereGreaterEqual"


class WhereLess(Plain, IndexerBinary):
    """0 where x < y, else -1e30."""

    op = "WhereLess"


class WhereLessEqual(Plain, IndexerBinary):
    """0 where x <= y, else -1e30."""

    op = "WhereLessEqual"


# One input, element by element.


class Relu(Line, IndexerUnary):
    """x where x >= alpha, else beta."""

    op = "Relu"


class Sigmoid(Line, IndexerUnary):
    """1 / (1 + exp(beta * x + alpha)); the usual one has beta = -1."""

    op = "Sigmoid"


class Silu(Line, IndexerUnary):
    """x / (1 + exp(beta * x + alpha)); the usual one has beta = -1."""

    op = "Silu"


class Add_Mul(ScaledLine, IndexerUnary):
    """beta * x + alpha"""

    op = "Add_Mul"


class Abs(ScaledLine, IndexerUnary):
    """|beta * x + alpha|"""

    op = "Abs"


class Log(ScaledLine, IndexerUnary):
    """ln(beta * x + alpha)"""

    op = "Log"


class Exp(ScaledLine, IndexerUnary):
    """exp(beta * x + alpha)"""

    op = "Exp"


# Over the middle pages of a row, each (i, d) by itself. They take ragged tensors: Load a field first.


class Softmax(IndexerUnary):
    """exp(scale * x[s]) / sum over the pages t of exp(scale * x[t])."""

    op = "Softmax"

    def __init__(self, dim: int = 0, scale: float = 1.0) -> None:
        super().__init__(dim=numbers.integer(self.op, "dim", dim), scale=numbers.real(self.op, "scale", scale))


class Normalize(IndexerUnary):
    """x[s] / root of the sum over the pages t of x[t] squared."""

    op = "Normalize"

    def __init__(self, dim: int = 0) -> None:
        super().__init__(dim=numbers.integer(self.op, "dim", dim))


class Conv1d(IndexerUnary):
    """sum over t of weight[t, i, d] * x[s - t, i, d]: tap 0 is the page itself, tap t the t-th before it. `weight` is a
    list [taps][rows][cols]; dtype and device are the original's and without effect."""

    op = "Conv1d"

    def __init__(
        self, weight: list[list[list[float]]], dim: int = 0, dtype: object = None, device: object = None
    ) -> None:
        self._shape, flat = numbers.taps(self.op, weight)
        super().__init__(dim=numbers.integer(self.op, "dim", dim), k=self._shape[0], weight=flat)

    def __call__(self, x: vTensor, ctx: ContextBase) -> vTensor:
        if isinstance(x, vTensor) and x.shape[1:] != self._shape[1:]:
            raise TraceError(
                f"Conv1d({x._type.text(x._side)}): weight is {list(self._shape)}",
                place_of_call(),
                "its inner axes are those of x",
            )
        return super().__call__(x, ctx)


# Layout, masks, rotation, weights.


class Kron(IndexerBinary):
    """Kronecker product on the axes of `dim`, x's index slow: for both, out[s, i * rows of y + j, c * cols of y + d] =
    x[s, i, c] * y[s, j, d]. An axis that is not in `dim` broadcasts."""

    op = "Kron"

    def __init__(self, dim: int | Iterable[int] = (1, 2)) -> None:
        super().__init__(dims=numbers.axes(self.op, dim))


class Transpose(Plain, IndexerUnary):
    """out[s, d, i] = x[s, i, d]"""

    op = "Transpose"


class Reshape(Shaped, IndexerUnary):
    """Reshape(-1, rows, cols): the same elements in the same order. Not of a field."""

    op = "Reshape"


class MaskSlice(Mask, IndexerUnary):
    """alpha where start <= index < end on axis `dim`, else beta. Only the shape of x counts."""

    op = "MaskSlice"


class Rotate(Plain, IndexerUnary):
    """Fixed random signs and a Walsh-Hadamard transform of the last axis; dot products stay. Not in the original."""

    op = "Rotate"


class Project(IndexerUnary):
    """Learned weights: the layer's matrix named `parameter` times all numbers of a batched x, as [1, rows, cols]. The
    setting compressor-ckpt names the file with the matrices. Not in the original."""

    op = "Project"

    def __init__(self, parameter: str, rows: int, cols: int) -> None:
        if not isinstance(parameter, str):
            raise TraceError(f"Project: parameter must be a name, got {parameter!r}", place_of_call())
        super().__init__(
            rows=numbers.integer(self.op, "rows", rows),
            cols=numbers.integer(self.op, "cols", cols),
            parameter=parameter,
        )


class Parameter:
    """The original's constant, whose weights would be part of the graph; use Project."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise TraceError(
            f"{type(self).__name__} holds weights, which a recorded flow does not",
            place_of_call(),
            "use Project(parameter, rows, cols): the setting compressor-ckpt names the file of its weights",
        )


class LearnedQuery(Parameter):
    """The original's learned query; use Project."""


# State of a sequence.


class Load(Plain, IndexerUnary):
    """A field as a ragged tensor, with what earlier steps of the sequence saved."""

    op = "Load"


class Save(Plain, IndexerOperator):
    """Keeps a ragged x in field F for the later steps of the sequence. Gives F."""

    op = "Save"

    def __call__(self, x: vTensor, F: vTensor, ctx: ContextBase) -> vTensor:
        recorder, at = self._start((x, F), ctx)
        recorder.store(self.op, (x,), F, at)
        return F


# Outputs: exactly one ends forward_indexer.


class topK(Plain, IndexerOutput):
    """The best pages, as many as the budget leaves."""

    op = "topK"


class approxTopK(IndexerOutput):
    """As many pages, of which at least a share of 1 - tolerate_ratio are the best."""

    op = "approxTopK"

    def __init__(self, tolerate_ratio: float = 0.0) -> None:
        super().__init__(tolerate_ratio=numbers.real(self.op, "tolerate_ratio", tolerate_ratio))


class top_p(IndexerOutput):
    """The fewest best pages whose share of softmax(score) reaches `mass`, at least at_least and at most at_most of
    them; at_most 0 leaves it to the budget. Not in the original."""

    op = "top_p"

    def __init__(self, mass: float, at_least: int = 0, at_most: int = 0) -> None:
        super().__init__(
            mass=numbers.real(self.op, "mass", mass),
            at_least=numbers.integer(self.op, "at_least", at_least),
            at_most=numbers.integer(self.op, "at_most", at_most),
        )


class PageSet(NamedTuple):
    """A result of TopK: two names for one set of pages, as the original has them."""

    block_tables: vTensor
    seqlens: vTensor


class TopK(IndexerOperator):
    """The best k pages, for Union."""

    op = "TopK"

    def __init__(self, k: int) -> None:
        super().__init__(k=numbers.integer(self.op, "k", k))

    def __call__(self, score: vTensor, ctx: ContextBase) -> PageSet:
        pages = self._make((score,), ctx)
        return PageSet(pages, pages)


class Union(Plain, IndexerOperator):
    """The pages of either set: together they are the budget."""

    op = "Union"

    def __call__(
        self, a: tuple[vTensor, vTensor], b: tuple[vTensor, vTensor], o: PageIndices, ctx: ContextBase
    ) -> None:
        self._end((self._pages(a), self._pages(b)), o, ctx)

    def _pages(self, pair: tuple[vTensor, vTensor]) -> vTensor:
        if isinstance(pair, tuple) and len(pair) == 2 and pair[0] is pair[1]:
            return pair[0]
        raise TraceError("Union joins the two tuples that two TopK gave", place_of_call(), "pass them whole")
