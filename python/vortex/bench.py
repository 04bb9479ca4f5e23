"""Benchmarks of a model on this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vortex import _native
from vortex.config import VortexConfig
from vortex.engine import Engine, SparsityReport
from vortex.eval.arguments import whole

_USUAL_SEQUENCES = 8


@dataclass(frozen=True)
class Interval:
    """Between two tokens of a sequence, in milliseconds."""

    p50: float
    p99: float


@dataclass(frozen=True)
class Machine:
    """Where a figure was measured."""

    cpu: str
    threads: int
    memory_bytes: int


@dataclass(frozen=True)
class LatencyResult:
    """As `vortex bench latency --json` (docs/json.md)."""

    input_len: int
    output_len: int
    batch: int
    synthetic_context: bool
    prefill_tokens_per_s: float | None
    """None with a synthetic context."""
    decode_tokens_per_s: float
    """batch / the median interval."""
    prefill_s: float
    ttft_s: float
    itl_ms: Interval
    attention_ms: float
    """Of a decode step on average, all layers; so is selection_ms."""
    selection_ms: float
    host_ms: float | None
    """Of a decode step on average, beside waiting for the GPU; None on the CPU."""
    load_s: float
    device: str
    """The one that ran it: cpu or cuda."""
    sparsity: SparsityReport = field(repr=False)
    machine: Machine = field(repr=False)
    json_text: str = field(repr=False)

    def to_json(self) -> str:
        return self.json_text


def latency(
    engine_or_model: Engine | str | os.PathLike[str],
    input_len: int = 512,
    output_len: int = 64,
    batch: int = 1,
    *,
    synthetic_context: bool = False,
    vortex: VortexConfig | Mapping[str, Any] | str | None = None,
    **keywords: Any,
) -> LatencyResult:
    """Times the prompt and the answer of `batch` equal requests at once. Prompts are random tokens, the same for the
    same lengths; with `synthetic_context` noise stands for their keys and values, so that long ones need no prefill.

    Takes an engine that has nothing else to do and room for the batch (max_num_seqs), or a model, for which one is
    made of `vortex` and the other `keywords` of Engine and shut down afterwards. Ctrl-C cancels the requests.
    InvalidArgumentError when the lengths do not fit the context.
    """
    if isinstance(engine_or_model, Engine):
        if vortex is not None or keywords:
            raise TypeError("latency(): settings are for a model; an engine has its own")
        return _measure(engine_or_model, input_len, output_len, batch, synthetic_context)
    keywords.setdefault("max_num_seqs", max(whole("batch", batch, least=1), _USUAL_SEQUENCES))
    with Engine(engine_or_model, vortex=vortex, **keywords) as engine:
        return _measure(engine, input_len, output_len, batch, synthetic_context)


def _measure(engine: Engine, input_len: int, output_len: int, batch: int, synthetic_context: bool) -> LatencyResult:
    text = _native.run_latency(
        engine._native,
        whole("input_len", input_len, least=1),
        whole("output_len", output_len, least=1),
        whole("batch", batch, least=1),
        bool(synthetic_context),
    )
    values = json.loads(text)
    itl_ms, machine = Interval(**values.pop("itl_ms")), Machine(**values.pop("machine"))
    return LatencyResult(**values, itl_ms=itl_ms, machine=machine, json_text=text)
