"""Plots of evaluations and explanations, as matplotlib figures: show them in a notebook, or `savefig` them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vortex.errors import InvalidArgumentError, UnsupportedError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from vortex.engine import Explanation
    from vortex.eval import RecallReport, RecallResult

_MARKERS = "osD^vPX*<>"
_AXES = (("read_fraction", "pages read, of those held"), ("byte_fraction", "bytes read, metadata included, of dense"))


def plot_accuracy(report: RecallReport, title: str | None = None) -> Figure:
    """Accuracy against what was read, in pages and in bytes: a line for each flow, a point for each budget, dense
    attention as a dashed line across."""
    figure = _new_figure(9.6, 4.4 + 0.24 * len(_lines(report)) / 2)
    panels = figure.subplots(1, 2, sharey=True)
    for panel, (share, label) in zip(panels, _AXES, strict=True):
        _draw_lines(panel, report, share)
        _frame_shares(panel, label)
    panels[0].set_ylabel(f"accuracy on {report[0].count} questions")
    figure.suptitle(title or report.model)
    handles, labels = panels[0].get_legend_handles_labels()
    # Below the panels: inside, some flow's points are always under it.
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(3, len(labels)), frameon=False, fontsize="small"
    )
    return figure


def plot_selection(explanation: Explanation, layer: int | None = None, row: int = 0) -> Figure:
    """Which pages each step read, for one layer (the first that selects, unless given) and row: time to the right,
    the context upwards."""
    layers = [int(number) for number in explanation.layers]
    if not layers or not explanation.steps:
        raise InvalidArgumentError("has no step that selects", "explanation")
    chosen = layers[0] if layer is None else layer
    read = _read_pages(explanation, chosen, row)
    figure = _new_figure(min(16.0, 3.6 + 0.12 * len(read)), 4.8)
    from matplotlib.ticker import MaxNLocator

    panel = figure.subplots()
    panel.imshow(read.T, origin="lower", aspect="auto", interpolation="nearest", cmap="Blues", vmin=0, vmax=1.25)
    panel.set_xlabel("decode step")
    panel.set_ylabel(f"page of {explanation.page_size} tokens")
    panel.set_title(f"{explanation.flow}: layer {chosen}, row {row}", fontsize="medium")
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _draw_lines(panel: Axes, report: RecallReport, share: str) -> None:
    for number, (series, results) in enumerate(_lines(report).items()):
        panel.plot(
            [getattr(result, share) for result in results],
            [result.accuracy for result in results],
            linestyle=":" if results[0].control else "-",
            color=f"C{number % 10}",
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=5,
            label=series,
        )
    if report.dense is not None:
        panel.axhline(report.dense.accuracy, color="0.35", linestyle="--", linewidth=1, label="dense")


def _read_pages(explanation: Explanation, layer: int, row: int) -> npt.NDArray[np.float32]:
    """[steps, pages]: 1 where a page was read, 0 where not; NaN where there was none yet."""
    read = np.full((len(explanation.steps), max(step.page_count for step in explanation.steps)), np.nan, np.float32)
    for number, step in enumerate(explanation.steps):
        read[number, : step.page_count] = 0
        read[number, explanation.selected(number, layer, row)] = 1
    return read


def _lines(report: RecallReport) -> dict[str, list[RecallResult]]:
    """The results of each series that is not dense, from the least that is read to the most."""
    lines: dict[str, list[RecallResult]] = {}
    for result in report:
        if result.config is not None:
            lines.setdefault(result.series, []).append(result)
    return {series: sorted(results, key=lambda result: result.read_fraction) for series, results in lines.items()}


def _frame_shares(panel: Axes, label: str) -> None:
    from matplotlib.ticker import FuncFormatter

    panel.set_xlabel(label)
    panel.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    panel.set_xlim(left=0)
    panel.set_ylim(0, 1.02)
    panel.grid(color="0.9", linewidth=0.8)
    panel.spines[["top", "right"]].set_visible(False)


def _new_figure(width: float, height: float) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UnsupportedError(f"plots need matplotlib: {error}", "vortex.plot", "pip install 'vortex[plot]'") from None
    return Figure(figsize=(width, height), layout="constrained", dpi=120)
