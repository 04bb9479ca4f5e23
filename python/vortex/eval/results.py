"""Reports of evaluations: sequences of results, one a variant, that print as tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, overload

from vortex.config import VortexConfig
from vortex.eval.tables import aligned, percent


@dataclass(frozen=True, kw_only=True)
class Result:
    """What every evaluation says of one variant: a flow under one configuration, or dense attention."""

    name: str
    """The flow, and those settings that differ among the variants."""
    series: str
    """The name without the budget: points of one line in a plot."""
    control: bool
    """Not a flow but a yardstick: `oracle`, `random`, `all`, `shuffled`."""
    config: VortexConfig | None
    """None: dense."""
    pages_held: int
    """Sums over decode steps, sparse layers and rows, as pages_read; 0 when dense."""
    pages_read: int
    read_fraction: float
    """pages_read / pages_held; 1 when dense."""
    byte_fraction: float
    """Fields that scoring reads, with keys and values of the pages read, against what dense attention reads."""
    metadata_bytes_per_page: int
    """Fields that scoring reads of a page, for one kv head."""
    kv_bytes_per_page: int


@dataclass(frozen=True, kw_only=True)
class RecallResult(Result):
    accuracy: float
    """Share of answers that contain what was asked for."""
    count: int
    """Questions."""
    by_task: dict[str, float]
    by_length: dict[int, float]
    cells: dict[tuple[str, int], tuple[int, int]] = field(repr=False)
    """(right, asked) of each task and length."""


@dataclass(frozen=True, kw_only=True)
class FidelityResult(Result):
    kl: float
    """Mean KL divergence of the next token's distribution from dense attention's, in nats."""
    perplexity: float
    """Of the text's own next tokens."""
    top_token_agreement: float
    """Share of steps whose most likely token is dense attention's."""
    attention_mass: float
    """Dense attention's probability on the pages read: mean over sparse layers, rows and steps."""
    mass_by_layer: tuple[float, ...] = field(repr=False)


R = TypeVar("R", bound=Result)


@dataclass(frozen=True, repr=False)
class Report(Sequence[R], Generic[R]):
    """Results in the order of the variants. `print(report)` is a table."""

    results: tuple[R, ...]
    model: str
    json_text: str

    @overload
    def __getitem__(self, index: int) -> R: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[R, ...]: ...
    def __getitem__(self, index: int | slice) -> R | tuple[R, ...]:
        return self.results[index]

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[R]:
        return iter(self.results)

    @property
    def dense(self) -> R | None:
        """Dense attention's result, when it is among them."""
        return next((result for result in self if result.config is None), None)

    @property
    def flows(self) -> tuple[R, ...]:
        """The results that are neither dense attention's nor a control's."""
        return tuple(result for result in self if result.config is not None and not result.control)

    def to_json(self) -> str:
        """The object of docs/json.md."""
        return self.json_text


class RecallReport(Report[RecallResult]):
    def best(self) -> RecallResult:
        """The most accurate of the flows; of several the one that reads least."""
        return max(self.flows or self, key=lambda result: (result.accuracy, -result.byte_fraction))

    def __repr__(self) -> str:
        head = ["variant", "accuracy", "asked", "pages %", "bytes %"]
        rows = [
            [r.name, f"{r.accuracy:.3f}", str(r.count), percent(r.read_fraction), percent(r.byte_fraction)]
            for r in self
        ]
        return aligned(head, rows)


class FidelityReport(Report[FidelityResult]):
    """Dense attention is always the first."""

    def best(self) -> FidelityResult:
        """The flow nearest to dense attention, by KL divergence; of several the one that reads least."""
        return min(self.flows or self, key=lambda result: (result.kl, result.byte_fraction))

    def __repr__(self) -> str:
        head = ["variant", "KL", "perplexity", "same top", "mass", "pages %", "bytes %"]
        rows = [
            [
                r.name,
                f"{r.kl:.5f}",
                f"{r.perplexity:.3f}",
                f"{r.top_token_agreement:.3f}",
                f"{r.attention_mass:.3f}",
                percent(r.read_fraction),
                percent(r.byte_fraction),
            ]
            for r in self
        ]
        return aligned(head, rows)


def recall_report(text: str, kinds: list[tuple[str, bool]]) -> RecallReport:
    """From the JSON of the native module."""
    report = json.loads(text)
    entries = zip(report["variants"], kinds, strict=True)
    return RecallReport(tuple(_recall_result(*entry) for entry in entries), report["config"]["model"], text)


def fidelity_report(text: str, kinds: list[tuple[str, bool]]) -> FidelityReport:
    report = json.loads(text)
    entries = zip(report["variants"], kinds, strict=True)
    return FidelityReport(tuple(_fidelity_result(*entry) for entry in entries), report["config"]["model"], text)


def _common(entry: dict[str, Any], kind: tuple[str, bool], config: dict[str, Any] | None) -> dict[str, Any]:
    sparsity, size = entry["sparsity"], entry["bytes"]
    return {
        "name": entry["name"],
        "series": kind[0],
        "control": kind[1],
        "config": None if config is None else VortexConfig.from_dict(config),
        "pages_held": sparsity["pages_held"],
        "pages_read": sparsity["pages_read"],
        "read_fraction": sparsity["read_fraction"],
        "byte_fraction": size["read_fraction"],
        "metadata_bytes_per_page": size["metadata_per_page"],
        "kv_bytes_per_page": size["kv_per_page"],
    }


def _recall_result(entry: dict[str, Any], kind: tuple[str, bool]) -> RecallResult:
    return RecallResult(
        **_common(entry, kind, entry["config"]["vortex"]),
        accuracy=entry["accuracy"],
        count=entry["count"],
        by_task=entry["by_task"],
        by_length={int(length): share for length, share in entry["by_length"].items()},
        cells={_cell(name): (right, asked) for name, (right, asked) in entry["cells"].items()},
    )


def _cell(name: str) -> tuple[str, int]:
    task, _, length = name.rpartition("/")
    return task, int(length)


def _fidelity_result(entry: dict[str, Any], kind: tuple[str, bool]) -> FidelityResult:
    return FidelityResult(
        **_common(entry, kind, entry["vortex"]),
        kl=entry["kl"],
        perplexity=entry["perplexity"],
        top_token_agreement=entry["top_token_agreement"],
        attention_mass=entry["attention_mass"]["mean"],
        mass_by_layer=tuple(entry["attention_mass"]["by_layer"]),
    )
