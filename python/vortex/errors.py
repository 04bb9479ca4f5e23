"""Exceptions: one class for each kind of fault. Their text is one line: where, what, what to do."""

from __future__ import annotations


class VortexError(Exception):
    """A fault that the caller can act on. `where` (file:line:column, a key, a name) and `hint` may be empty."""

    def __init__(self, message: str, where: str = "", hint: str = "") -> None:
        self.where = where
        self.message = message
        self.hint = hint
        text = f"{where}: {message}" if where else message
        super().__init__(f"{text} ({hint})" if hint else text)


class ConfigurationError(VortexError, ValueError):
    """An impossible or unknown setting."""


class InvalidArgumentError(VortexError, ValueError):
    """A request that can never work."""


class NotFoundError(VortexError, FileNotFoundError):
    """A file, model, flow or name that does not exist."""


class DataLossError(VortexError):
    """A file that is cut short, corrupt or lying."""


class UnsupportedError(VortexError, NotImplementedError):
    """Well-formed, but not something that this build can do."""


class ResourceExhaustedError(VortexError, MemoryError):
    """Memory, pages or context are too small; or a time limit has passed."""


class UnavailableError(VortexError):
    """Trouble with a network or a device; may work later."""


class CancelledError(VortexError):
    """The request was ended before it was done."""


class InternalError(VortexError, RuntimeError):
    """A bug of ours."""


class TraceError(ConfigurationError):
    """A flow that cannot be recorded; `where` is the author's file:line:column."""


_BY_CODE: dict[str, type[VortexError]] = {
    "usage": ConfigurationError,
    "configuration": ConfigurationError,
    "invalid_argument": InvalidArgumentError,
    "not_found": NotFoundError,
    "data_loss": DataLossError,
    "unsupported": UnsupportedError,
    "resource_exhausted": ResourceExhaustedError,
    "unavailable": UnavailableError,
    "cancelled": CancelledError,
    "internal": InternalError,
}


def make_error(code: str, where: str, message: str, hint: str) -> VortexError:
    """The exception of an error of the native module."""
    return _BY_CODE[code](message, where, hint)
