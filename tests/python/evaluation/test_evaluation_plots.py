"""Plots: what is drawn, and what is said where nothing can be."""

import subprocess
import sys

import numpy as np
import pytest
from program import BUILD, MODEL, ROOT, environment

import vortex
import vortex.plot
from vortex import VortexConfig
from vortex.engine import ExplainedStep, Explanation
from vortex.errors import InvalidArgumentError, UnsupportedError
from vortex.eval import RecallReport, RecallResult

PNG = b"\x89PNG\r\n"


def result(series, accuracy, read, bytes_read, control=False, dense=False):
    return RecallResult(
        name=f"{series} at {read}",
        series=series,
        control=control,
        config=None if dense else VortexConfig(),
        pages_held=0 if dense else 1000,
        pages_read=0 if dense else int(1000 * read),
        read_fraction=read,
        byte_fraction=bytes_read,
        metadata_bytes_per_page=128,
        kv_bytes_per_page=4096,
        accuracy=accuracy,
        count=60,
        by_task={},
        by_length={},
        cells={},
    )


@pytest.fixture
def report():
    results = (
        result("dense", 0.85, 1.0, 1.0, dense=True),
        result("quest", 0.6, 0.13, 0.19),
        result("quest", 0.4, 0.04, 0.1),
        result("oracle", 0.86, 0.13, 0.13, control=True),
    )
    return RecallReport(results, "tiny", "{}")


def lines(panel):
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in panel.get_lines()}


def test_a_line_for_each_flow_a_point_for_each_budget(report, tmp_path):
    figure = vortex.plot.plot_accuracy(report)
    pages, sizes = figure.axes
    assert lines(pages) == {
        "quest": ([0.04, 0.13], [0.4, 0.6]),
        "oracle": ([0.13], [0.86]),
        "dense": ([0, 1], [0.85, 0.85]),
    }
    assert lines(sizes)["quest"] == ([0.1, 0.19], [0.4, 0.6])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["quest", "oracle", "dense"]
    assert "60 questions" in pages.get_ylabel() and "pages" in pages.get_xlabel() and "bytes" in sizes.get_xlabel()
    figure.savefig(tmp_path / "curve.png")
    figure.savefig(tmp_path / "curve.svg")
    assert (tmp_path / "curve.png").read_bytes().startswith(PNG)
    assert "</svg>" in (tmp_path / "curve.svg").read_text()


def test_the_legend_covers_no_point(report):
    figure = vortex.plot.plot_accuracy(report)
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    for panel in figure.axes:
        assert legend.y1 < panel.get_tightbbox().y0


def explanation():
    def step(count, layers):
        pages = np.array(layers, np.int32)
        return ExplainedStep(16 * count, count, True, pages, np.zeros((2, 1, count), np.float32))

    return answer(
        np.array([1, 2], np.int32), (step(4, [[[0, 3, -1]], [[0, 1, 3]]]), step(5, [[[0, 2, 4]], [[1, 3, 4]]]))
    )


def answer(layers, steps):
    ids = np.arange(3, dtype=np.int32)
    return Explanation(
        text="hi", input_ids=ids, output_ids=ids, flow="quest", page_size=16, layers=layers, rows=1, steps=steps
    )


@pytest.mark.parametrize(
    "layer, read", [(None, [[1, 0, 0, 1, None], [1, 0, 1, 0, 1]]), (2, [[1, 1, 0, 1, None], [0, 1, 0, 1, 1]])]
)
def test_a_selection_is_pages_over_steps(layer, read, tmp_path):
    figure = vortex.plot.plot_selection(explanation(), layer=layer)
    (panel,) = figure.axes
    drawn = np.ma.filled(panel.images[0].get_array().astype(float), np.nan)
    np.testing.assert_array_equal(drawn, np.array(read, float).T)
    assert "16 tokens" in panel.get_ylabel() and f"layer {layer or 1}" in panel.get_title()
    figure.savefig(tmp_path / "selection.png")
    assert (tmp_path / "selection.png").read_bytes().startswith(PNG)


def test_an_explanation_of_the_engine_is_drawn():
    config = VortexConfig(module_name="gqa_quest_sparse_attention", topk_val=2)
    with vortex.Engine(MODEL, vortex=config) as engine:
        told = engine.explain("word " * 200, {"max_new_tokens": 4, "temperature": 0, "ignore_eos": True})
    (panel,) = vortex.plot.plot_selection(told, layer=3, row=1).axes
    drawn = np.ma.filled(panel.images[0].get_array().astype(float), 0)
    assert drawn.shape == (told.steps[-1].page_count, 3)
    assert [np.flatnonzero(column).tolist() for column in drawn.T] == [
        told.selected(i, 3, 1).tolist() for i in range(3)
    ]


def test_a_dense_answer_has_no_selection():
    with pytest.raises(InvalidArgumentError, match="no step that selects"):
        vortex.plot.plot_selection(answer(np.array([], np.int32), ()))


def test_without_matplotlib_it_says_what_to_install(report, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UnsupportedError, match=r"matplotlib.*pip install 'vortex\[plot\]'"):
        vortex.plot.plot_accuracy(report)


def test_the_example_draws_its_curve(tmp_path):
    script = ROOT / "examples/python/accuracy_curve.py"
    out = tmp_path / "curve.png"
    done = subprocess.run(
        [sys.executable, script, "--limit", "1", "--out", out],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment(PYTHONPATH=str(BUILD / "python")),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("variant") and "sketch2_sparse_attention, topk 29" in done.stdout
    assert out.read_bytes().startswith(PNG)
