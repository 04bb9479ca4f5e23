"""What the operators of vortex.indexer and vortex.cache have in common: calls by their side, constructors by their
attributes. An operator is made once and called at one place of a flow; the call records it."""

from __future__ import annotations

from typing import Any, ClassVar

from vortex.errors import TraceError
from vortex.flow import numbers
from vortex.flow.places import place_of_call
from vortex.flow.recorder import ContextBase, PageIndices, Recorder
from vortex.flow.tensor import vTensor
from vortex.flow.values import Side


class Operator:
    """An operator with its attributes; `op` is its name in the op table."""

    op: ClassVar[str]
    side: ClassVar[Side]

    def __init__(self, **attributes: Any) -> None:
        self.attributes = attributes

    def __repr__(self) -> str:
        return f"{self.op}({', '.join(f'{key}={value}' for key, value in self.attributes.items())})"

    def _check_tensor(self, x: object) -> None:
        if not isinstance(x, vTensor):
            raise TraceError(
                f"{self.op} of a {type(x).__name__}, which is no tensor of a flow",
                place_of_call(),
                "tensors come from q, cache and operators",
            )
        if not self.side & x._recorder.side:
            raise TraceError(
                f"{self.op} of {_module(self.side)} is called in {x._recorder.side.method}",
                place_of_call(),
                f"import the one of {_module(x._recorder.side)}",
            )

    def _check_given(self, name: str, value: object, given: object) -> None:
        """What a method hands on to every operator is what it was given."""
        if value is not given:
            raise TraceError(
                f"{self.op}: {name} is a {type(value).__name__}",
                place_of_call(),
                f"pass on the {name} that the method was given",
            )

    def _start(self, inputs: tuple[vTensor, ...], ctx: object) -> tuple[Recorder, str]:
        """The recorder that a call goes to, and the call's place."""
        for x in inputs:
            self._check_tensor(x)
        recorder = inputs[0]._recorder
        self._check_given("ctx", ctx, recorder.context)
        return recorder, recorder.call(self, self.op)


def _module(side: Side) -> str:
    return "vortex.cache" if side is Side.CACHE else "vortex.indexer"


# Calls in forward_indexer.


class IndexerOperator(Operator):
    side = Side.INDEXER

    def _make(self, inputs: tuple[vTensor, ...], ctx: object) -> vTensor:
        recorder, at = self._start(inputs, ctx)
        return recorder.add(self.op, inputs, self.attributes, at)

    def _end(self, scores: tuple[vTensor, ...], o: object, ctx: object) -> None:
        recorder, at = self._start(scores, ctx)
        self._check_given("o", o, recorder.indices)
        recorder.end(self.op, scores, self.attributes, at)


class IndexerUnary(IndexerOperator):
    def __call__(self, x: vTensor, ctx: ContextBase) -> vTensor:
        return self._make((x,), ctx)


class IndexerBinary(IndexerOperator):
    def __call__(self, x: vTensor, y: vTensor, ctx: ContextBase) -> vTensor:
        return self._make((x, y), ctx)


class IndexerOutput(IndexerOperator):
    """Ends forward_indexer: the pages are chosen by a score [S, 1, 1]; higher is better, ties go to the lower page."""

    def __call__(self, score: vTensor, o: PageIndices, ctx: ContextBase) -> None:
        self._end((score,), o, ctx)


# Calls in forward_cache. The result is written to `output`, a field; without one it is an intermediate.


class CacheOperator(Operator):
    side = Side.CACHE

    def _make(self, inputs: tuple[vTensor, ...], output: vTensor | None, loc: object, ctx: object) -> vTensor:
        recorder, at = self._start(inputs, ctx)
        self._check_given("loc", loc, recorder.location)
        made = recorder.add(self.op, inputs, self.attributes, at)
        if output is not None:
            self._check_tensor(output)
            recorder.store("Write", (made,), output, at)
        return made


class CacheUnary(CacheOperator):
    def __call__(
        self, x: vTensor, output: vTensor | None = None, loc: object = None, ctx: ContextBase | None = None
    ) -> vTensor:
        return self._make((x,), output, loc, ctx)


class CacheBinary(CacheOperator):
    def __call__(
        self, x: vTensor, y: vTensor, output: vTensor | None = None, loc: object = None, ctx: ContextBase | None = None
    ) -> vTensor:
        return self._make((x, y), output, loc, ctx)


# Constructors.


class Plain(Operator):
    """Without attributes."""

    def __init__(self) -> None:
        super().__init__()


class Reduction(Operator):
    """Over axis `dim`, which stays with size 1."""

    def __init__(self, dim: int = 1) -> None:
        super().__init__(dim=numbers.integer(self.op, "dim", dim))


class Interleaved(Operator):
    """Over each k consecutive elements of axis `dim`."""

    def __init__(self, dim: int = 1, k: int = 2) -> None:
        super().__init__(dim=numbers.integer(self.op, "dim", dim), k=numbers.integer(self.op, "k", k))


class Line(Operator):
    """With alpha and beta; 0 and 0 unless given."""

    def __init__(self, alpha: float = 0, beta: float = 0) -> None:
        super().__init__(alpha=numbers.real(self.op, "alpha", alpha), beta=numbers.real(self.op, "beta", beta))


class ScaledLine(Line):
    """A function of beta * x + alpha; x itself unless they are given."""

    def __init__(self, alpha: float = 0, beta: float = 1) -> None:
        super().__init__(alpha, beta)


class WeightedSum(Line):
    """alpha * x + beta * y."""

    def __init__(self, alpha: float = 1, beta: float = 1) -> None:
        super().__init__(alpha, beta)


class Mask(Operator):
    """alpha inside a range of an axis, beta outside."""

    def __init__(self, start: int, end: int, dim: int, alpha: float = 1, beta: float = 0) -> None:
        super().__init__(
            dim=numbers.integer(self.op, "dim", dim),
            start=numbers.integer(self.op, "start", start),
            end=numbers.integer(self.op, "end", end),
            alpha=numbers.real(self.op, "alpha", alpha),
            beta=numbers.real(self.op, "beta", beta),
        )


class Shaped(Operator):
    """Row-major: the same elements as [rows, cols]."""

    def __init__(self, pages: int, rows: int, cols: int) -> None:
        if pages != -1:
            raise TraceError(f"{self.op}: the first size must be -1, got {pages!r}", place_of_call())
        super().__init__(rows=numbers.integer(self.op, "rows", rows), cols=numbers.integer(self.op, "cols", cols))
