"""What an Engine starts for each rank beside its own (`tensor_parallel_size`)."""

from __future__ import annotations

import sys
from pathlib import Path

import vortex
from vortex import _native
from vortex.errors import VortexError


def command() -> list[str]:
    """Arguments of this interpreter that make it a rank, wherever this package came from."""
    home = str(Path(vortex.__file__).parent.parent)
    program = f"import sys; sys.path.insert(0, {home!r}); from vortex.rank import main; sys.exit(main())"
    return [sys.executable, "-c", program]


def main() -> int:
    try:
        _native.run_rank()
    except VortexError as error:
        print(f"vortex rank: {error}", file=sys.stderr)
        return 1
    return 0
