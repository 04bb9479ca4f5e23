"""Files written for vortex_torch: `import vortex.compat` lets `import vortex_torch` find this package, unless the real
one is installed."""

from importlib.machinery import PathFinder

from vortex.compat.aliases import alias_vortex_torch

if PathFinder.find_spec("vortex_torch") is None:
    alias_vortex_torch()
