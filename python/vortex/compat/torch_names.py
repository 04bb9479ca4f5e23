"""`import torch` in a flow's file: names for annotations and defaults, without torch.

A flow's file imports torch to say `q: torch.Tensor`. The names here serve that in no time. Whatever is really called
comes from the real torch when that is installed; otherwise it is an error at the author's line.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from vortex.errors import TraceError
from vortex.flow.places import place_of_call
from vortex.flow.tensor import vTensor


def stand_in_for_torch() -> None:
    """From now on `import torch` gives the names, unless torch was imported before. Once is enough."""
    if "torch" not in sys.modules and _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


class Tensor:
    """torch.Tensor, for annotations."""

    def __new__(cls, *arguments: Any, **keywords: Any) -> Any:
        return Name("torch.Tensor")(*arguments, **keywords)


class Size(tuple[int, ...]):
    """torch.Size"""


class dtype(str):
    """torch.dtype: its name."""


class device(str):
    """torch.device: "cuda:0"."""

    def __new__(cls, type: str, index: int | None = None) -> device:
        return super().__new__(cls, type if index is None else f"{type}:{index}")


class no_grad:
    """torch.no_grad as a context and as a decorator, with () and without: nothing here has gradients."""

    def __new__(cls, function: Any = None) -> Any:
        return function or super().__new__(cls)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


_FLOATS = ("bfloat16", "float16", "half", "float32", "float", "float64", "double", "float8_e4m3fn", "float8_e5m2")
_INTEGERS = ("uint8", "int8", "int16", "short", "int32", "int", "int64", "long", "bool")

_NAMES: dict[str, Any] = {
    **{name: dtype(name) for name in _FLOATS + _INTEGERS},
    **{kind.__name__: kind for kind in (Tensor, Size, dtype, device, no_grad)},
    "inference_mode": no_grad,
    "inf": float("inf"),
    "nan": float("nan"),
}


class Name:
    """Something of torch that nobody has called yet."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Name(f"{self._path}.{name}")

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        if any(isinstance(value, vTensor) for value in (*arguments, *keywords.values())):
            raise TraceError(
                f"{self._path} of a tensor, which has no numbers while the flow is recorded",
                place_of_call(),
                "use an operator of vortex.indexer or vortex.cache",
            )
        return _real(self._path)(*arguments, **keywords)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (_real(self._path),)

    def __or__(self, other: Any) -> Any:
        return self

    __ror__ = __or__

    def __repr__(self) -> str:
        return self._path


def _real(path: str) -> Any:
    """The object of that name in the real torch."""
    _FINDER.stand_aside(path)
    found: Any = import_module("torch")
    for part in path.split(".")[1:]:
        found = getattr(found, part)
    return found


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, _Loader(), is_package=True) if fullname.split(".")[0] == "torch" else None

    def stand_aside(self, path: str) -> None:
        """Makes way for the real torch; TraceError when there is none."""
        if self not in sys.meta_path:
            return
        if PathFinder.find_spec("torch") is None:
            raise TraceError(
                f"{path} is used, and torch is not installed",
                place_of_call(),
                "a flow needs operators of vortex.indexer and vortex.cache only",
            )
        sys.meta_path.remove(self)
        for name in [name for name in sys.modules if name.split(".")[0] == "torch"]:
            del sys.modules[name]


class _Module(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return (_NAMES.get(name) if self.__name__ == "torch" else None) or Name(f"{self.__name__}.{name}")


class _Loader(Loader):
    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Names are made when they are asked for."""


_FINDER = _Finder()
