"""vTensor: what stands for a tensor while a flow is recorded. It knows shape, dtype and format and holds no numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from vortex.errors import TraceError
from vortex.flow.places import place_of_call
from vortex.flow.values import FORMAT, Side, Type

if TYPE_CHECKING:
    from vortex.flow.recorder import Recorder

# What Python would compute by itself, and the operator that says the same.
_INSTEAD = {
    "+": "use Add()",
    "-": "use Add(1, -1)",
    "*": "use Multiply(), or Add_Mul(alpha, beta) with a number",
    "/": "use Multiply(), or Add_Mul(0, 1 / number)",
    "@": "use GeMM(): out = y times x transposed",
    "abs()": "use Abs()",
    "<": "use WhereLess()",
    "<=": "use WhereLessEqual()",
    ">": "use WhereGreater()",
    ">=": "use WhereGreaterEqual()",
    "==": "use WhereEqual()",
    "!=": "use WhereNotEqual()",
    "[]": "use MaskSlice(start, end, dim) or a reduction",
}
_METHODS = {
    "+": ("add", "radd", "iadd"),
    "-": ("sub", "rsub", "isub", "neg"),
    "*": ("mul", "rmul", "imul"),
    "/": ("truediv", "rtruediv", "itruediv", "floordiv", "rfloordiv", "ifloordiv"),
    "@": ("matmul", "rmatmul", "imatmul"),
    "%": ("mod", "rmod", "imod"),
    "**": ("pow", "rpow", "ipow"),
    "&": ("and", "rand"),
    "|": ("or", "ror"),
    "~": ("invert",),
    "abs()": ("abs",),
    "<": ("lt",),
    "<=": ("le",),
    ">": ("gt",),
    ">=": ("ge",),
    "==": ("eq",),
    "!=": ("ne",),
    "[]": ("getitem", "setitem", "delitem"),
    "bool()": ("bool",),
    "int()": ("int", "index"),
    "float()": ("float",),
    "round()": ("round",),
    "len()": ("len",),
    "iteration": ("iter", "contains"),
    "a function of torch": ("torch_function",),
    "a function of numpy": ("array", "array_ufunc", "array_function"),
}


_TENSOR = "a tensor, which has no numbers"


def _refuse(what: str, noun: str) -> NoReturn:
    raise TraceError(
        f"{what} on {noun} while the flow is recorded",
        place_of_call(),
        _INSTEAD.get(what, "use an operator of vortex.indexer or vortex.cache"),
    )


def _refusing(what: str, noun: str) -> Callable[..., NoReturn]:
    def method(*_: Any, **__: Any) -> NoReturn:
        _refuse(what, noun)

    return method


def _without_numbers(kind: type, noun: str, but: tuple[str, ...] = ()) -> None:
    """Gives a class every method by which Python, torch or numpy would compute with it; all of them refuse."""
    for symbol, names in _METHODS.items():
        for name in names if symbol not in but else ():
            setattr(kind, f"__{name}__", _refusing(symbol, noun))


class PageCount:
    """The number of pages of a row, S: known when a token is decoded, not before."""

    def __repr__(self) -> str:
        return "S"


class vTensor:
    """A recorded value [L, rows, cols]; L is 1, or S pages. Operators take and give them."""

    device = None
    """Where it lies is the engine's to choose."""

    __slots__ = ("_format", "_name", "_recorder", "_side", "_type", "dtype")

    def __init__(self, recorder: Recorder, side: Side, value: Type, name: str, dtype: str = "bfloat16") -> None:
        self._recorder = recorder
        self._side = side
        self._type = value
        self._name = name  # as nodes have it: "q", "@field", "%3"
        self._format = value.format
        self.dtype = dtype

    @property
    def format(self) -> FORMAT:
        return self._format

    @property
    def shape(self) -> tuple[int | PageCount, int, int]:
        pages: int | PageCount = 1 if self._side is Side.CACHE or self._format is FORMAT.BATCHED else PAGE_COUNT
        return (pages, self._type.rows, self._type.cols)

    @property
    def ndim(self) -> int:
        return 3

    def dim(self) -> int:
        return 3

    def size(self, dim: int | None = None) -> Any:
        """The shape, or one axis of it."""
        return self.shape if dim is None else self.shape[dim]

    def __repr__(self) -> str:
        return f"vTensor({self._name}: {self._type.text(self._side)})"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        _refuse(f".{name}", _TENSOR)


_without_numbers(PageCount, "the number of pages, which is not known", but=("==", "!="))
_without_numbers(vTensor, _TENSOR)
PAGE_COUNT = PageCount()


def as_vtensor(x: vTensor, *_: Any, **__: Any) -> vTensor:
    """`x` itself: while a flow is recorded every tensor is a vTensor, and none is made by hand."""
    if isinstance(x, vTensor):
        return x
    raise TraceError(
        f"as_vtensor of a {type(x).__name__}", place_of_call(), "tensors of a flow come from q, cache and operators"
    )
