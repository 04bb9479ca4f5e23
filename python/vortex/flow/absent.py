"""Names that the two sides do not have: what a module says when it is asked for one."""

from __future__ import annotations

from typing import Any

from vortex.errors import TraceError
from vortex.flow.places import place_of_call


class LearnedWeights:
    """Stands for the original's Parameter and LearnedQuery, whose weights would be part of the graph."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise TraceError(
            f"{type(self).__name__} holds weights, which a recorded flow does not",
            place_of_call(),
            "use Project(parameter, rows, cols): the setting compressor-ckpt names the file of its weights",
        )
