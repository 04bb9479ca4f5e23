"""The "did you mean" of messages."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint with the name that was meant, or an empty one."""
    from difflib import get_close_matches

    close = get_close_matches(name[:256], list(names), n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else ""
