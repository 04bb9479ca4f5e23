"""The recorder's op table is that of the engine, and every name of the original is there."""

import inspect
import re

import pytest
from program import ROOT

import vortex.cache
import vortex.indexer
from vortex.flow.operators import Operator
from vortex.flow.table import OPS, Row
from vortex.flow.values import Side

KEYS = {
    "kDim": ("dim",), "kCount": ("k",), "kAlpha": ("alpha",), "kBeta": ("beta",), "kScale": ("scale",),
    "kRange": ("start", "end"), "kExtent": ("rows", "cols"), "kAxes": ("dims",), "kWeight": ("weight",),
    "kRatio": ("tolerate_ratio",), "kMass": ("mass",), "kBounds": ("at_least", "at_most"), "kField": ("field",),
    "kNamed": ("parameter",), "0": (),
}  # fmt: skip
SIDES = {"kCache": Side.CACHE, "kIndexer": Side.INDEXER, "kBothSides": Side.BOTH}
RULES = {"PageAxis": "page_axis", "MaskSlice": "mask_slice", "PageSet": "page_set"}


def rows_of_the_engine():
    """ops.def, row by row, with its macros written out."""
    text = (ROOT / "src/flow/ir/ops.def").read_text()
    body = text[text.index("// clang-format off") : text.index("// clang-format on")]
    for kind, arguments in re.findall(r"^VORTEX_(\w+)\((.*)\)$", body, re.MULTILINE):
        _, name, *rest = [part.strip().strip('"') for part in arguments.split(",")]
        if kind == "OP":
            arity, sides, _, rule, attributes, alpha, beta = rest
        elif kind in ("UNARY", "BINARY"):
            arity, sides, rule = 1 + (kind == "BINARY"), "kBothSides", "k" + kind.capitalize()
            attributes, alpha, beta = rest[:3]
        else:
            arity, sides, rule = 1, rest[0] if kind == "REDUCE" else "kCache", "k" + kind.capitalize()
            attributes, alpha, beta = "kDim" if kind == "REDUCE" else "kDim | kCount", 0, 0
        keys = [key for flag in attributes.split("|") for key in KEYS[flag.strip()]]
        plain = rule.removeprefix("k")
        yield Row(name, int(arity), SIDES[sides], RULES.get(plain, plain.lower()), tuple(keys), int(alpha), int(beta))


def test_every_row_is_the_engines():
    engine = list(rows_of_the_engine())
    assert len(engine) >= 48
    ours = [row._replace(attributes=tuple(sorted(row.attributes))) for row in OPS.values()]
    assert ours == [row._replace(attributes=tuple(sorted(row.attributes))) for row in engine]


def operators(module):
    return {
        name: kind
        for name, kind in vars(module).items()
        if isinstance(kind, type) and issubclass(kind, Operator) and kind.__module__ == module.__name__
    }


def _names(text):
    return text.split()


ORIGINAL_INDEXER = _names("""
    GeMM GeMV Sum Mean Max Min L2Norm Multiply Add Maximum Minimum Kron WhereEqual WhereNotEqual
    WhereGreater WhereGreaterEqual WhereLess WhereLessEqual Relu Sigmoid Silu Add_Mul Abs Log Exp Softmax Normalize
    Conv1d Transpose Reshape MaskSlice Save Load topK approxTopK TopK Union""")
ORIGINAL_CACHE = _names("""
    Mean Max Min L2Norm MeanInterleave MaxInterleave MinInterleave L2NormInterleave GeMM Multiply Add
    Maximum Minimum WhereEqual WhereNotEqual WhereGreater WhereGreaterEqual WhereLess WhereLessEqual Relu Sigmoid Silu
    Add_Mul Abs Log Exp Fill MaskSlice Reshape""")
OWN = {"LogSumExp", "Rotate", "Project", "top_p", "StdDev"}


@pytest.mark.parametrize(
    ("module", "original", "side"),
    [(vortex.indexer, ORIGINAL_INDEXER, Side.INDEXER), (vortex.cache, ORIGINAL_CACHE, Side.CACHE)],
)
def test_every_name_is_there_and_on_its_side(module, original, side):
    classes = operators(module)
    assert set(classes) - set(original) == {name for name in OWN if side & OPS[name].sides}
    assert set(original) <= set(classes)
    # Write has no class: it is what `output` asks for.
    assert set(classes) == {name for name, row in OPS.items() if side & row.sides} - {"Write"}
    assert set(classes) == set(module.__all__) - {"Parameter", "LearnedQuery"}
    for name, kind in classes.items():
        assert (kind.op, kind.side) == (name, side)
        assert kind.__doc__


@pytest.mark.parametrize("module", [vortex.indexer, vortex.cache])
def test_constructors_have_the_tables_defaults(module):
    for name, kind in operators(module).items():
        parameters = inspect.signature(kind).parameters
        for key in ("alpha", "beta"):
            assert (key in parameters) == (key in OPS[name].attributes), name
            if key in parameters:
                assert parameters[key].default == (0 if name == "Fill" else getattr(OPS[name], key)), name


def test_the_originals_constructor_arguments():
    expected = {
        "Softmax": [("dim", 0), ("scale", 1.0)],
        "Kron": [("dim", (1, 2))],
        "approxTopK": [("tolerate_ratio", 0.0)],
        "MaskSlice": [("start", None), ("end", None), ("dim", None), ("alpha", 1), ("beta", 0)],
        "Conv1d": [("weight", None), ("dim", 0), ("dtype", None), ("device", None)],
        "TopK": [("k", None)],
    }
    for name, arguments in expected.items():
        parameters = inspect.signature(getattr(vortex.indexer, name)).parameters.values()
        empty = inspect.Parameter.empty
        assert [(p.name, None if p.default is empty else p.default) for p in parameters] == arguments, name
    interleaved = inspect.signature(vortex.cache.MeanInterleave).parameters.values()
    assert [(p.name, p.default) for p in interleaved] == [("dim", 1), ("k", 2)]
