"""Where the author's text is: file:line:column of a call, of a method, of an exception."""

from __future__ import annotations

import os
import sys
from itertools import islice
from types import CodeType, FrameType, TracebackType
from typing import Any

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_LIBRARY = os.path.dirname(os.path.abspath(os.__file__)) + os.sep


def is_authors(file: str) -> bool:
    """Whether a file is neither ours, nor Python's, nor an installed package's."""
    if file.startswith((PACKAGE, "<")):
        return False
    return "site-packages" not in file and "dist-packages" not in file and not file.startswith(_LIBRARY)


def place_of_call() -> str:
    """Of the author's innermost call; in a prompt or an installed flow, of the innermost outside this package."""
    outside = _frames()
    nearest = next((frame for frame in outside if is_authors(frame.f_code.co_filename)), outside[0])
    return _place(nearest.f_code, nearest.f_lasti, nearest.f_lineno)


def _frames() -> list[FrameType]:
    """Those outside this package, the innermost first."""
    frames, frame = [], sys._getframe(1)
    while frame.f_back is not None:
        frame = frame.f_back
        if not frame.f_code.co_filename.startswith(PACKAGE):
            frames.append(frame)
    return frames


def place_of_function(function: Any) -> str:
    """Of the line that defines a function or a class; empty for one without text."""
    code = getattr(function, "__code__", None)
    if code is None:
        return ""
    return f"{code.co_filename}:{code.co_firstlineno}:{_indent(code.co_filename, code.co_firstlineno)}"


def place_of_exception(error: BaseException, otherwise: str) -> str:
    """Of the author's line that raised it, or that called what did."""
    found, trace = otherwise, error.__traceback__
    while trace is not None:
        if is_authors(trace.tb_frame.f_code.co_filename):
            found = _place_of_trace(trace)
        trace = trace.tb_next
    return found


def _place_of_trace(trace: TracebackType) -> str:
    return _place(trace.tb_frame.f_code, trace.tb_lasti, trace.tb_lineno)


def _place(code: CodeType, instruction: int, line: int) -> str:
    """A call over several lines is where it starts."""
    start, _, column, _ = next(islice(code.co_positions(), instruction // 2, None), (None,) * 4)
    return f"{code.co_filename}:{start or line}:{(column or 0) + 1}"


def _indent(file: str, line: int) -> int:
    from linecache import getline

    text = getline(file, line)
    return len(text) - len(text.lstrip()) + 1
