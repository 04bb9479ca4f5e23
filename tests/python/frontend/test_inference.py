"""The type of each operator's result, against values worked out by hand from the specification's formulas."""

import math

import pytest

from vortex.flow.infer import Application, Refused, infer
from vortex.flow.table import OPS
from vortex.flow.values import FORMAT, MAX_SET_PAGES, Side, Type

BATCHED, RAGGED, PAGED, PAGES = FORMAT.BATCHED, FORMAT.RAGGED, FORMAT.PAGED, FORMAT.PAGES


def t(format, rows, cols):
    return Type(format, rows, cols)


Q = t(BATCHED, 4, 64)  # the query of a group of four
C = t(PAGED, 1, 64)  # a centroid
SUB = t(PAGED, 3, 64)  # three sub-pages
SCORE = t(RAGGED, 1, 1)
K = t(PAGED, 16, 64)  # keys of a page, in forward_cache


def infer_one(side, op, inputs, **attributes):
    row = OPS[op]
    defaults = {key: getattr(row, key) for key in ("alpha", "beta") if key in row.attributes}
    return infer(Application(side, row, defaults | attributes, tuple(inputs)))


INDEXER = [
    # out[s, a, b] over rows of y, rows of x
    ("GeMM", (Q, C), {}, t(RAGGED, 1, 4)),
    ("GeMM", (C, Q), {}, t(RAGGED, 4, 1)),
    ("GeMM", (Q, t(BATCHED, 2, 64)), {}, t(BATCHED, 2, 4)),
    ("GeMM", (C, SUB), {}, t(RAGGED, 3, 1)),
    ("GeMV", (t(BATCHED, 1, 64), C), {}, t(RAGGED, 1, 1)),
    ("Mean", (Q,), {"dim": 1}, t(BATCHED, 1, 64)),
    ("Mean", (SUB,), {"dim": 1}, t(RAGGED, 1, 64)),
    ("Sum", (Q,), {"dim": 2}, t(BATCHED, 4, 1)),
    ("Max", (t(RAGGED, 2, 5),), {"dim": 0}, t(BATCHED, 2, 5)),
    ("Min", (t(RAGGED, 2, 5),), {"dim": 2}, t(RAGGED, 2, 1)),
    ("L2Norm", (SUB,), {"dim": 2}, t(RAGGED, 3, 1)),
    ("LogSumExp", (t(RAGGED, 16, 4),), {"dim": 1}, t(RAGGED, 1, 4)),
    ("Multiply", (Q, C), {}, t(RAGGED, 4, 64)),
    ("Multiply", (Q, t(BATCHED, 4, 1)), {}, t(BATCHED, 4, 64)),
    ("Add", (t(RAGGED, 4, 1), C), {}, t(RAGGED, 4, 64)),
    ("Maximum", (SCORE, SCORE), {}, SCORE),
    ("WhereLess", (SCORE, t(BATCHED, 1, 1)), {}, SCORE),
    ("Exp", (Q,), {}, Q),
    ("Relu", (C,), {}, t(RAGGED, 1, 64)),
    ("Softmax", (t(RAGGED, 1, 4),), {"dim": 0, "scale": 0.1}, t(RAGGED, 1, 4)),
    ("Normalize", (t(RAGGED, 3, 64),), {"dim": 0}, t(RAGGED, 3, 64)),
    ("Conv1d", (t(RAGGED, 2, 3),), {"dim": 0, "k": 2, "weight": [0.5] * 12}, t(RAGGED, 2, 3)),
    ("Kron", (Q, SUB), {"dims": 1}, t(RAGGED, 12, 64)),
    ("Kron", (t(RAGGED, 2, 3), t(RAGGED, 5, 7)), {"dims": 3}, t(RAGGED, 10, 21)),
    ("Kron", (t(RAGGED, 2, 3), t(RAGGED, 1, 7)), {"dims": 2}, t(RAGGED, 2, 21)),
    ("Transpose", (SUB,), {}, t(RAGGED, 64, 3)),
    ("Reshape", (Q,), {"rows": 1, "cols": 256}, t(BATCHED, 1, 256)),
    ("MaskSlice", (C,), {"dim": 2, "start": 0, "end": 64}, t(RAGGED, 1, 64)),
    ("MaskSlice", (Q,), {"dim": 1, "start": 4, "end": 4}, Q),
    ("Rotate", (Q,), {}, Q),
    ("Project", (Q,), {"rows": 1, "cols": 64, "parameter": "w"}, t(BATCHED, 1, 64)),
    ("Load", (C,), {}, t(RAGGED, 1, 64)),
    ("TopK", (SCORE,), {"k": 29}, t(PAGES, 1, 1)),
    ("topK", (SCORE,), {}, None),
    ("approxTopK", (SCORE,), {"tolerate_ratio": 1.0}, None),
    ("top_p", (SCORE,), {"mass": 0.9, "at_least": 0, "at_most": 0}, None),
    ("Union", (t(PAGES, 1, 1), t(PAGES, 1, 1)), {}, None),
]


@pytest.mark.parametrize(("op", "inputs", "attributes", "expected"), INDEXER)
def test_indexer(op, inputs, attributes, expected):
    assert infer_one(Side.INDEXER, op, inputs, **attributes) == expected


CACHE = [
    ("Mean", (K,), {"dim": 1}, t(RAGGED, 1, 64)),
    ("StdDev", (K,), {"dim": 2}, t(RAGGED, 16, 1)),
    ("MaxInterleave", (K,), {"dim": 1, "k": 4}, t(RAGGED, 4, 64)),
    ("L2NormInterleave", (K,), {"dim": 2, "k": 64}, t(RAGGED, 16, 1)),
    ("GeMM", (K, K), {}, t(RAGGED, 16, 16)),
    ("Minimum", (K, t(RAGGED, 1, 64)), {}, t(RAGGED, 16, 64)),
    ("Reshape", (K,), {"rows": 8, "cols": 128}, t(RAGGED, 8, 128)),
    ("MaskSlice", (K,), {"dim": 1, "start": 3, "end": 16}, t(RAGGED, 16, 64)),
    ("Rotate", (K,), {}, t(RAGGED, 16, 64)),
]


@pytest.mark.parametrize(("op", "inputs", "attributes", "expected"), CACHE)
def test_cache(op, inputs, attributes, expected):
    assert infer_one(Side.CACHE, op, inputs, **attributes) == expected


TOP_P = {"mass": 0.5, "at_least": 1, "at_most": 8}
REFUSED = [
    ("GeMM", (t(BATCHED, 4, 1), C), {}, "last axes must be equal"),
    ("GeMV", (Q, C), {}, "middle axes must be 1"),
    ("Mean", (C,), {"dim": 0}, "dim 0 needs a ragged tensor"),
    ("Mean", (Q,), {"dim": 0}, "dim 0 needs a ragged tensor"),
    ("Mean", (Q,), {"dim": 3}, "dim must be 0, 1 or 2, got 3"),
    ("Mean", (Q,), {"dim": -1}, "dim must be 0, 1 or 2, got -1"),
    ("StdDev", (Q,), {"dim": 1}, "not available in forward_indexer"),
    ("Add", (t(RAGGED, 1, 4), C), {}, "inner axes must be equal or 1"),
    ("Add", (SCORE, SCORE), {"alpha": math.inf}, "alpha must be a finite number"),
    ("Softmax", (C,), {"dim": 0, "scale": 1.0}, "needs a ragged tensor"),
    ("Softmax", (SCORE,), {"dim": 1, "scale": 1.0}, "dim must be 0, got 1"),
    ("Softmax", (SCORE,), {"dim": 0, "scale": math.nan}, "scale must be a finite number"),
    ("Conv1d", (SCORE,), {"dim": 0, "k": 2, "weight": [1.0] * 3}, "weight must be [2, 1, 1], has 3 numbers"),
    ("Conv1d", (SCORE,), {"dim": 0, "k": 1, "weight": [math.inf]}, "weight must be finite numbers"),
    ("Kron", (Q, C), {"dims": 0}, "dims must name axis 1, axis 2 or both"),
    ("Kron", (Q, t(RAGGED, 1, 4)), {"dims": 1}, "axes outside dims must be equal or 1"),
    ("Reshape", (C,), {"rows": 64, "cols": 1}, "cannot reshape a field"),
    ("Reshape", (Q,), {"rows": -4, "cols": -64}, "cannot become [-4, -64]"),
    ("MaskSlice", (Q,), {"dim": 2, "start": 0, "end": 65}, "needs 0 <= start <= end <= 64"),
    ("MaskSlice", (Q,), {"dim": 2, "start": 3, "end": 2}, "needs 0 <= start <= end <= 64"),
    ("MaskSlice", (Q,), {"dim": 0, "start": 0, "end": 1}, "dim must be 1 or 2"),
    ("Project", (C,), {"rows": 1, "cols": 64, "parameter": "w"}, "needs a batched tensor"),
    ("Project", (Q,), {"rows": 1, "cols": 60, "parameter": "w"}, "not whole parts of [1, 60]"),
    ("Project", (Q,), {"rows": 1, "cols": 64, "parameter": ""}, "has 0 letters"),
    ("Load", (SCORE,), {}, "loads a field"),
    ("topK", (t(RAGGED, 1, 4),), {}, "the score must be ragged [S, 1, 1]"),
    ("topK", (t(BATCHED, 1, 1),), {}, "the score must be ragged [S, 1, 1]"),
    ("topK", (t(PAGED, 1, 1),), {}, "the score must be ragged [S, 1, 1]"),
    ("TopK", (SCORE,), {"k": 0}, f"k must be 1 to {MAX_SET_PAGES}, got 0"),
    ("approxTopK", (SCORE,), {"tolerate_ratio": 1.5}, "tolerate_ratio must be between 0 and 1"),
    ("top_p", (SCORE,), TOP_P | {"mass": 0.0}, "mass must be above 0"),
    ("top_p", (SCORE,), TOP_P | {"at_least": 9}, "needs 0 <= at_least <= at_most"),
    ("Union", (SCORE, SCORE), {}, "joins results of TopK"),
    ("Exp", (t(PAGES, 1, 1),), {}, "a set of pages is not a tensor"),
    ("Kron", (t(RAGGED, 1024, 64), t(RAGGED, 1024, 1)), {"dims": 1}, "exceeds 1048576 elements a page"),
    ("MeanInterleave", (Q,), {"dim": 1, "k": 2}, "not available in forward_indexer"),
]


@pytest.mark.parametrize(("op", "inputs", "attributes", "message"), REFUSED)
def test_refused(op, inputs, attributes, message):
    with pytest.raises(Refused) as caught:
        infer_one(Side.INDEXER, op, inputs, **attributes)
    shapes = ", ".join(x.text(Side.INDEXER) for x in inputs)
    assert caught.value.message.startswith(f"{op}({shapes}): ")
    assert message in caught.value.message


@pytest.mark.parametrize("op", ["Sum", "GeMV", "Softmax", "Transpose", "Load", "Save", "Kron", "topK"])
def test_not_in_forward_cache(op):
    with pytest.raises(Refused, match="not available in forward_cache"):
        infer_one(Side.CACHE, op, (K,) * OPS[op].arity, dim=1)


def test_cache_reductions_and_groups():
    with pytest.raises(Refused, match="dim must be 1 or 2, got 0"):
        infer_one(Side.CACHE, "Mean", (K,), dim=0)
    with pytest.raises(Refused, match="axis 1 of size 16 is not divisible by k = 5"):
        infer_one(Side.CACHE, "MeanInterleave", (K,), dim=1, k=5)
