"""Operators of forward_cache: summarise one finished page of one kv head.

They are made in a flow's constructor and called as `self.op(x, cache["field"], loc=loc, ctx=ctx)`, which writes the
field, or with `output=None`, which gives an intermediate for the next operator. Shapes are [1, rows, cols]; the inner
axes broadcast when one of them is 1. In the formulas i is a row (of `k`, a token), d a column.
"""

from __future__ import annotations

from vortex.flow import numbers
from vortex.flow.operators import (
    CacheBinary,
    CacheOperator,
    CacheUnary,
    Interleaved,
    Line,
    Mask,
    Plain,
    Reduction,
    ScaledLine,
    Shaped,
    WeightedSum,
)
from vortex.flow.recorder import ContextBase
from vortex.flow.tensor import vTensor

__all__ = [
    "Abs", "Add", "Add_Mul", "Exp", "Fill", "GeMM", "L2Norm", "L2NormInterleave", "Log", "MaskSlice", "Max",
    "MaxInterleave", "Maximum", "Mean", "MeanInterleave", "Min", "MinInterleave", "Minimum", "Multiply", "Relu",
    "Reshape", "Rotate", "Sigmoid", "Silu", "StdDev", "WhereEqual", "WhereGreater", "WhereGreaterEqual",
    "WhereLess", "WhereLessEqual", "WhereNotEqual",
]  # fmt: skip


class GeMM(Plain, CacheBinary):
    """out[a, b] = sum over d of y[a, d] * x[b, d]: [1, rows of y, rows of x]."""

    op = "GeMM"


# Reductions over dim 1 or 2.


class Mean(Reduction, CacheUnary):
    """Mean over axis `dim`, kept with size 1."""

    op = "Mean"


class Max(Reduction, CacheUnary):
    """Largest over axis `dim`, kept with size 1."""

    op = "Max"


class Min(Reduction, CacheUnary):
    """Smallest over axis `dim`, kept with size 1."""

    op = "Min"


class L2Norm(Reduction, CacheUnary):
    """Root of the sum of squares over axis `dim`, kept with size 1."""

    op = "L2Norm"


class StdDev(Reduction, CacheUnary):
    """Standard deviation of the population over axis `dim`, kept with size 1. Not in the original."""

    op = "StdDev"


class MeanInterleave(Interleaved, CacheUnary):
    """Mean of each k consecutive elements of axis `dim`: for dim 1 [1, rows / k, cols]."""

    op = "MeanInterleave"


class MaxInterleave(Interleaved, CacheUnary):
    """Largest of each k consecutive elements of axis `dim`."""

    op = "MaxInterleave"


class MinInterleave(Interleaved, CacheUnary):
    """Smallest of each k consecutive elements of axis `dim`."""

    op = "MinInterleave"


class L2NormInterleave(Interleaved, CacheUnary):
    """Root of the sum of squares of each k consecutive elements of axis `dim`."""

    op = "L2NormInterleave"


# Two inputs, element by element.


class Multiply(Plain, CacheBinary):
    """x * y"""

    op = "Multiply"


class Add(WeightedSum, CacheBinary):
    """alpha * x + beta * y"""

    op = "Add"


class Maximum(Plain, CacheBinary):
    """The larger of x and y."""

    op = "Maximum"


class Minimum(Plain, CacheBinary):
    """The smaller of x and y."""

    op = "Minimum"


class WhereEqual(Plain, CacheBinary):
    """0 where x == y, else -1e30."""

    op = "WhereEqual"


class WhereNotEqual(Plain, CacheBinary):
    """0 where x != y, else -1e30."""

    op = "WhereNotEqual"


class WhereGreater(Plain, CacheBinary):
    """0 where x > y, else -1e30."""

    op = "WhereGreater"


class WhereGreaterEqual(Plain, CacheBinary):
    """0 where x >= y, else -1e30."""

    op = "WhereGreaterEqual"


class WhereLess(Plain, CacheBinary):
    """0 where x < y, else -1e30."""

    op = "WhereLess"


class WhereLessEqual(Plain, CacheBinary):
    """0 where x <= y, else -1e30."""

    op = "WhereLessEqual"


# One input, element by element.


class Relu(Line, CacheUnary):
    """x where x >= alpha, else beta."""

    op = "Relu"


class Sigmoid(Line, CacheUnary):
    """1 / (1 + exp(beta * x + alpha)); the usual one has beta = -1."""

    op = "Sigmoid"


class Silu(Line, CacheUnary):
    """x / (1 + exp(beta * x + alpha)); the usual one has beta = -1."""

    op = "Silu"


class Add_Mul(ScaledLine, CacheUnary):
    """beta * x + alpha"""

    op = "Add_Mul"


class Abs(ScaledLine, CacheUnary):
    """|beta * x + alpha|"""

    op = "Abs"


class Log(ScaledLine, CacheUnary):
    """ln(beta * x + alpha)"""

    op = "Log"


class Exp(ScaledLine, CacheUnary):
    """exp(beta * x + alpha)"""

    op = "Exp"


# Layout, masks, rotation, constants.


class Reshape(Shaped, CacheUnary):
    """Reshape(-1, rows, cols): the same elements in the same order."""

    op = "Reshape"


class MaskSlice(Mask, CacheUnary):
    """alpha where start <= index < end on axis `dim`, else beta. Only the shape of x counts."""

    op = "MaskSlice"


class Rotate(Plain, CacheUnary):
    """Fixed random signs and a Walsh-Hadamard transform of the last axis; dot products stay. Not in the original."""

    op = "Rotate"


class Fill(CacheOperator):
    """Every element of the field `dest` becomes alpha."""

    op = "Fill"

    def __init__(self, alpha: float = 0.0) -> None:
        super().__init__(alpha=numbers.real(self.op, "alpha", alpha))

    def __call__(self, dest: vTensor, loc: object = None, ctx: ContextBase | None = None) -> None:
        recorder, at = self._start((dest,), ctx)
        self._check_given("loc", loc, recorder.location)
        recorder.store(self.op, (), dest, at, alpha=self.attributes["alpha"])
