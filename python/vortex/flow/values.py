"""What a recorded value is: its format and shape, and the limits on both. As in src/flow/ir/graph.h."""

from __future__ import annotations

from enum import Enum, IntFlag
from typing import NamedTuple

MAX_FIELDS = 64
MAX_NODES = 4096
MAX_EXTENT = 1 << 16
MAX_ELEMENTS = 1 << 20  # of one page of one value
MAX_SET_PAGES = 1 << 20  # of TopK and top_p; taps and group sizes too
MAX_NAME_LENGTH = 64


class FORMAT(Enum):
    """What the leading axis of a tensor is."""

    BATCHED = 0
    """One value a row: the query, and what is made from it alone. The leading axis is 1."""
    RAGGED = 1
    """A result with one value a page."""
    PAGED = 2
    """A field, read through the page table."""
    PARAMETER = 3
    """The original's learned constants; here the operator Project takes their place."""
    PAGES = 4
    """The result of TopK: a set of pages, not a tensor."""


class Side(IntFlag):
    """The two programs of a flow."""

    CACHE = 1
    INDEXER = 2
    BOTH = 3

    @property
    def method(self) -> str:
        return "forward_cache" if self is Side.CACHE else "forward_indexer"


class Type(NamedTuple):
    """A value [L, rows, cols]; the format says what L is."""

    format: FORMAT
    rows: int
    cols: int

    @property
    def elements(self) -> int:
        return self.rows * self.cols

    def text(self, side: Side) -> str:
        """`ragged [S, 4, 128]`; in forward_cache, which sees one page, `[1, 16, 128]`."""
        if side is Side.CACHE:
            return f"[1, {self.rows}, {self.cols}]"
        if self.format is FORMAT.PAGES:
            return "set of pages"
        lead = "1" if self.format is FORMAT.BATCHED else "S"
        return f"{self.format.name.lower()} [{lead}, {self.rows}, {self.cols}]"
