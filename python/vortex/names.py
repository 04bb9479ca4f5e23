"""The "did you mean" of messages."""

from __future__ import annotations

from collections.abc import Iterable

# An author's names are short: a letter or two is much of them.
SHORT = 0.5


def nearest(name: object, names: Iterable[str], likeness: float = 0.6) -> str:
    """A hint with the name that was meant, or an empty one. `likeness` is difflib's, from 0 to 1."""
    from difflib import get_close_matches

    close = get_close_matches(str(name)[:256], list(names), 1, likeness)
    return f"did you mean {close[0]!r}?" if close else ""
