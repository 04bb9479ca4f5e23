"""Evaluations of many variants in one run: recall and fidelity."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from vortex import _native
from vortex.config import VortexConfig
from vortex.engine.keywords import to_settings
from vortex.errors import NotFoundError
from vortex.eval import arguments
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
    variants = _variants(flows, topk, ratios, block_sizes, layers_skip, configs)
    return recall_report(
        *_native.run_recall(
            os.fspath(model),
            to_settings(settings),
            offline,
            os.fspath(data),
            arguments.texts("tasks", tasks),
            arguments.whole_numbers("lengths", lengths),
            0 if limit is None else arguments.whole("limit", limit, least=1),
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
            os.fspath(model),
            to_settings(settings),
            offline,
            words,
            name,
            arguments.whole("tokens", tokens, least=1),
            arguments.whole("tail", tail, least=1),
            variants,
            progress,
        )
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise NotFoundError(f"cannot be read: {error.strerror}", str(path)) from None


def _variants(
    flows: object, topk: object, ratios: object, block_sizes: object, layers_skip: object, configs: object
) -> _native.Variants:
    return _native.Variants(
        arguments.texts("flows", flows),
        [config.to_json() for config in arguments.configs("configs", configs)],
        arguments.whole_numbers("topk", topk),
        arguments.shares("ratios", ratios),
        arguments.whole_numbers("block_sizes", block_sizes),
        arguments.whole_numbers("layers_skip", layers_skip),
    )
