"""The original's module names, as names of ours."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

# Everything else has the original's name below `vortex`.
_ELSEWHERE = {"flow.flow_mla": "flow.flow", "abs.tensor": "abs", "abs.context_base": "abs"}
_AT_ONCE = ("flow", "indexer", "cache", "abs")


def alias_vortex_torch() -> None:
    """From now on `import vortex_torch.x` gives vortex.x, the same module object. Once is enough."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, rest = fullname.partition(".")
        if package != "vortex_torch":
            return None
        return ModuleSpec(fullname, _Alias(_ELSEWHERE.get(rest, rest)), is_package=True)


class _Alias(Loader):
    def __init__(self, name: str) -> None:
        self._name = f"vortex.{name}" if name else "vortex"

    def exec_module(self, module: ModuleType) -> None:
        # The import system takes what stands here afterwards for the module.
        sys.modules[module.__name__] = self._load()

    def _load(self) -> ModuleType:
        if self._name == "vortex":
            for part in _AT_ONCE:
                import_module(f"vortex.{part}")
        return import_module(self._name)
