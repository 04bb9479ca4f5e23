"""Loads a flow's file and finds the flow in it."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from types import CodeType, ModuleType

from vortex.errors import TraceError, VortexError
from vortex.flow.flow import FlowClass
from vortex.flow.places import PACKAGE, is_authors, place_of_exception
from vortex.flow.registry import registered
from vortex.flow.tracing import exception_of_author
from vortex.names import SHORT, nearest

_MODULE = "vortex_flow_file"


def load_flow_file(path: str) -> ModuleType:
    """Runs the file. TraceError, at the author's line, when it cannot be read, compiled or run."""
    module = ModuleType(_MODULE)
    module.__file__ = path
    code = _compile(path)
    # Last, so that a module beside the file hides none of Python's or of an installed package.
    sys.path.append(os.path.dirname(os.path.abspath(path)))
    sys.modules[_MODULE] = module
    try:
        exec(code, module.__dict__)
    except VortexError:
        raise
    except ImportError as error:
        raise _failed_import(error, path) from error
    except (Exception, SystemExit) as error:
        raise exception_of_author(error, path) from error
    return module


def choose_flow(path: str, name: str | None) -> tuple[str, FlowClass]:
    """The flow of that name; without one, the only flow of the file."""
    flows = registered()
    if name is not None:
        return name, _named(flows, name, path)
    own = {key: flow for key, flow in flows.items() if flow.__module__ == _MODULE} or flows
    if not own:
        raise TraceError("registers no flow", path, 'put @register("name") before the class of the flow')
    if len(own) > 1:
        raise TraceError(f"registers {len(own)} flows", path, f"name one as module_name: {', '.join(own)}")
    return next(iter(own.items()))


def files_of_flow(path: str) -> list[str]:
    """The files that a recording follows from: the flow's; those it imported, but for Python's own and those of
    installed packages; the recorder's own."""
    files = {os.path.abspath(path)}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and (file.startswith(PACKAGE) or is_authors(file)):
            files.add(os.path.abspath(file))
    return sorted(files)


def _compile(path: str) -> CodeType:
    try:
        with open(path, "rb") as file:
            return compile(file.read(), path, "exec")
    except OSError as error:
        raise TraceError(f"cannot be read: {error.strerror}", path) from error
    except SyntaxError as error:
        raise TraceError(error.msg, f"{path}:{error.lineno or 1}:{error.offset or 1}", "a syntax error") from error
    except ValueError as error:
        raise TraceError(f"is no Python: {error}", path) from error


def _failed_import(error: ImportError, path: str) -> TraceError:
    where = place_of_exception(error, path)
    if isinstance(error, ModuleNotFoundError):
        hint = "a flow needs vortex_torch.flow, .indexer, .cache and .abs only; install other packages for this Python"
        return TraceError(f"there is no module '{error.name}'", where, hint)
    module = sys.modules.get(error.name or "")
    wanted = str(error).split("'")[1:2]
    if module is None or not wanted or not module.__name__.startswith("vortex."):
        return exception_of_author(error, where)
    return TraceError(f"{module.__name__} has no '{wanted[0]}'", where, _where_it_is(module, wanted[0]))


def _where_it_is(module: ModuleType, name: str) -> str:
    for other in ("vortex.indexer", "vortex.cache", "vortex.abs", "vortex.flow"):
        if name in import_module(other).__all__:
            return f"{other} has it"
    return nearest(name, getattr(module, "__all__", ()), SHORT)


def _named(flows: dict[str, FlowClass], name: str, path: str) -> FlowClass:
    if name in flows:
        return flows[name]
    there = f"the file registers {', '.join(flows)}" if flows else "the file registers no flow"
    raise TraceError(f"no flow '{name}'", path, nearest(name, flows, SHORT) or there)
