"""Values from callers, checked one by one: what is wrong, and what would do."""

from __future__ import annotations

from collections.abc import Iterable

from vortex.errors import InvalidArgumentError
from vortex.names import nearest

_MOST_SHOWN = 60


def fault(key: str, value: object, allowed: str) -> InvalidArgumentError:
    """For `raise`: the value is not among what is allowed."""
    return InvalidArgumentError(f"{repr(value)[:_MOST_SHOWN]} is out of range", key, f"give {allowed}")


def unknown(key: object, names: Iterable[str], where: str) -> InvalidArgumentError:
    """For `raise`: no such key, and the nearest that there is."""
    return InvalidArgumentError(f"{key!r} is not known", where, nearest(key, names) or "docs/python.md has them all")


def whole(key: str, value: object, low: int, high: int) -> int:
    """An int, of numpy too, or a float equal to one."""
    number = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(number, bool) or not hasattr(number, "__index__") or not low <= int(number) <= high:
        raise fault(key, value, f"a whole number from {low} to {high}")
    return int(number)


def number(key: str, value: object) -> float:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise fault(key, value, "a number")
    return float(value)


def flag(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise fault(key, value, "True or False")
    return value
