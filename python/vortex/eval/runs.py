"""Evaluations of many variants in one run: recall and fidelity."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from vortex import _native
from vortex.config import VortexConfig
from vortex.engine.keywords import to_settings
from vortex.errors import ConfigurationError, NotFoundError
from vortex.eval.results import FidelityReport, RecallReport, fidelity_report, recall_report

StrPath: TypeAlias = str | os.PathLike[str]
Progress: TypeAlias = Callable[[int, int], object]
"""Called with what is done and the total. What it raises ends the run."""


def recall(
    model: StrPath,
    data: StrPath,
    *,
    flows: StrPath | Sequence[StrPath] = (),
    topk: int | Sequence[int] = (),
    ratios: float | Sequence[float] = (),
    block_sizes: int | Sequence[int] = (),
    layers_skip: Sequence[int] = (),
    configs: VortexConfig | Mapping[str, Any] | Sequence[VortexConfig | Mapping[str, Any]] = (),
    tasks: str | Sequence[str] = (),
    lengths: int | Sequence[int] = (),
    limit: int | None = None,
    progress: Progress | None = None,
    offline: bool = False,
    **settings: Any,
) -> RecallReport:
    """Accuracy on questions about long documents, as `vortex eval recall` measures it.

    `data`: JSON lines of messages, answer, task and length, plain or gzipped. Compared are all combinations of
    `flows` (names or files; also `dense` and the controls of docs/evaluation.md), `configs` (the settings below the
    others), `topk`, `ratios` and `block_sizes`, each once; without any of them dense attention. `tasks`, `lengths` and
    `limit` choose the questions. `progress(done, total)` counts answers. `settings` are the engine's keywords.

    Each prompt is computed once for all variants. Ctrl-C ends the run within a chunk of a prompt. Errors: those of
    Engine(), and InvalidArgumentError when no question is left.
    """
    if limit is not None and limit < 1:
        raise ConfigurationError(f"{limit} questions", "limit", "give 1 or more, or None for all")
    variants = _variants(flows, topk, ratios, block_sizes, layers_skip, configs)
    return recall_report(
        *_native.run_recall(
            os.fspath(model),
            to_settings(settings),
            offline,
            os.fspath(data),
            _list(tasks, str),
            _list(lengths, int),
            limit or 0,
            variants,
            progress,
        )
    )


def fidelity(
    model: StrPath,
    text: str | Path,
    *,
    flows: StrPath | Sequence[StrPath] = (),
    tokens: int = 4096,
    tail: int = 128,
    topk: int | Sequence[int] = (),
    ratios: float | Sequence[float] = (),
    block_sizes: int | Sequence[int] = (),
    layers_skip: Sequence[int] = (),
    configs: VortexConfig | Mapping[str, Any] | Sequence[VortexConfig | Mapping[str, Any]] = (),
    progress: Progress | None = None,
    offline: bool = False,
    **settings: Any,
) -> FidelityReport:
    """How far decoding under flows departs from dense decoding, as `vortex eval fidelity` measures it: on the last
    `tail` of the first `tokens` tokens of a text, which is given itself or as a pathlib.Path.

    Variants, `settings` and Ctrl-C are those of recall(); dense attention is always the first. `progress(done, total)`
    counts tokens. InvalidArgumentError when the text is shorter, or the tail leaves no prompt.
    """
    words, name = (_read(text), str(text)) if isinstance(text, Path) else (text, "text")
    variants = _variants(flows, topk, ratios, block_sizes, layers_skip, configs)
    return fidelity_report(
        *_native.run_fidelity(
            os.fspath(model), to_settings(settings), offline, words, name, tokens, tail, variants, progress
        )
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise NotFoundError(f"cannot be read: {error.strerror}", str(path)) from None


def _variants(
    flows: StrPath | Sequence[StrPath],
    topk: int | Sequence[int],
    ratios: float | Sequence[float],
    block_sizes: int | Sequence[int],
    layers_skip: Sequence[int],
    configs: VortexConfig | Mapping[str, Any] | Sequence[VortexConfig | Mapping[str, Any]],
) -> _native.Variants:
    return _native.Variants(
        [os.fspath(flow) for flow in _list(flows, (str, os.PathLike))],
        [_config(config).to_json() for config in _list(configs, (VortexConfig, Mapping))],
        _list(topk, int),
        _list(ratios, (int, float)),
        _list(block_sizes, int),
        list(layers_skip),
    )


def _config(config: VortexConfig | Mapping[str, Any]) -> VortexConfig:
    return config if isinstance(config, VortexConfig) else VortexConfig.from_dict(config, "configs")


def _list(values: Any, one: type | tuple[type, ...]) -> list[Any]:
    """One value is a list of one."""
    return [values] if isinstance(values, one) else list(values)
