"""The recorder accepts exactly the applications that the engine accepts, and gives them the same type: random operators
on random inputs, given to the engine as a graph in JSON."""

import json
import random

import pytest
from recording import GQA

from vortex import _native
from vortex.errors import VortexError
from vortex.flow import numbers
from vortex.flow.infer import Application, Refused, infer
from vortex.flow.table import OPS
from vortex.flow.values import FORMAT, Side, Type

EXTENTS = (1, 1, 2, 3, 4, 6, 16)
INTEGERS = (-1, 0, 1, 2, 3, 4, 6, 8, 1 << 20, (1 << 31) - 1)
REALS = (-1.0, 0.0, 0.09, 0.5, 1.0, 1.5, 1e-50, 1e38, 1e39)
RANGES = {"dim": (-1, 0, 0, 1, 1, 2, 2, 3), "dims": (0, 1, 2, 3, 4), "start": (-1, 0, 0, 1, 2), "end": (0, 1, 2, 3, 64)}
OUTPUTS = ("output", "union")
# What a rule wants, so that its other conditions are met often enough to matter.
LIKELY = {
    "at_least": (0, 1, 2),
    "at_most": (0, 1, 8),
    "mass": (0.5, 1.0),
    "tolerate_ratio": (0.0, 0.5, 1.0),
    "k": (1, 2),
}
FORMATS = {"project": FORMAT.BATCHED, "union": FORMAT.PAGES, "load": FORMAT.PAGED, "output": FORMAT.RAGGED}
FORMATS |= {"page_set": FORMAT.RAGGED, "page_axis": FORMAT.RAGGED, "store": FORMAT.RAGGED}


class Case:
    """One random application, and the graphs that put it to the engine."""

    def __init__(self, rng):
        self.side = rng.choice([Side.CACHE, Side.INDEXER])
        self.row = OPS[rng.choice([name for name, row in OPS.items() if row.sides & self.side or rng.random() < 0.05])]
        self.fields = {"score": (1, 1), "target": (rng.choice(EXTENTS), rng.choice(EXTENTS))}
        self.before, self.names, self.types = [], [], []
        arity = self.row.arity + (rng.random() < 0.03)
        for _ in range(arity):
            (self.page_value if self.side is Side.CACHE else self.row_value)(rng)
        self.attributes = {key: self.attribute(rng, key) for key in self.row.attributes}

    def node(self, op, *inputs, **attributes):
        self.before.append({"op": op, "inputs": list(inputs), **attributes})
        return f"%{len(self.before) - 1}"

    def row_value(self, rng):
        """An input in forward_indexer: a field, or what is made from one."""
        kind = rng.choice([FORMAT.BATCHED, FORMAT.RAGGED, FORMAT.RAGGED, FORMAT.PAGED, FORMAT.PAGES])
        if rng.random() < 0.8:
            kind = FORMATS.get(self.row.rule, kind)
        same = self.types and self.types[0].format is not FORMAT.PAGES and rng.random() < 0.5
        extents = tuple(self.types[0])[1:] if same else (rng.choice(EXTENTS), rng.choice(EXTENTS))
        rows, cols = (1, 1) if kind is FORMAT.PAGES or self.row.rule in ("output", "page_set") else extents
        if self.row.name == "Save" and rng.random() < 0.5:
            rows, cols = self.fields["target"]
        name = f"f{len(self.types)}"
        self.fields[name] = (rows, cols)
        value = f"@{name}"
        if kind is not FORMAT.PAGED:
            value = self.node("Load", value)
        if kind is FORMAT.BATCHED:
            value = self.node("Max", value, dim=0)
        if kind is FORMAT.PAGES:
            value = self.node("TopK", value, k=4)
        self.names.append(value)
        self.types.append(Type(kind, rows, cols))

    def page_value(self, rng):
        """An input in forward_cache: the keys, or what is made from them."""
        tokens, width = GQA["page_tokens"], GQA["head_dim"]
        made = rng.choice([(tokens, width), (1, width), (tokens, 1), (width, tokens), (4, width), (1, 1)])
        value = "@k"
        if made == (4, width):
            value = self.node("MeanInterleave", value, dim=1, k=4)
        elif made == (width, tokens):
            value = self.node("Reshape", value, rows=width, cols=tokens)
        elif made != (tokens, width):
            value = self.node("Mean", value, dim=1 if made == (1, width) else 2)
            value = self.node("Mean", value, dim=1) if made == (1, 1) else value
        if self.row.name == "Write" and rng.random() < 0.5:
            self.fields["target"] = made
        self.names.append(value)
        self.types.append(Type(FORMAT.PAGED if value == "@k" else FORMAT.RAGGED, *made))

    def attribute(self, rng, key):
        x = self.types[0] if self.types else Type(FORMAT.RAGGED, 1, 1)
        if key == "field":
            return "target"
        if key == "parameter":
            return rng.choice(["w", "w", "w", "", "w" * 64, "w" * 65])
        if key == "weight":
            return [0.5] * rng.choice([1, 2, x.elements, 2 * x.elements])
        if key in LIKELY and rng.random() < 0.7:
            return rng.choice(LIKELY[key])
        if key in ("rows", "cols") and rng.random() < 0.6:
            return rng.choice([x.rows, x.cols, x.elements, 1])
        if key in RANGES:
            return rng.choice(RANGES[key])
        if key in ("alpha", "beta", "scale", "tolerate_ratio", "mass"):
            return rng.choice(REALS)
        return rng.choice(INTEGERS)

    def inferred(self):
        """The recorder's answer: a type, None, or Refused."""
        exact = dict(self.attributes)
        try:
            for key in ("alpha", "beta", "scale", "tolerate_ratio", "mass"):
                if key in exact:
                    exact[key] = numbers.real(self.row.name, key, exact[key])
        except VortexError as error:
            raise Refused(error.message) from None
        stored = Type(FORMAT.PAGED, *self.fields["target"]) if "field" in exact else None
        return infer(Application(self.side, self.row, exact, tuple(self.types), stored))

    def graph(self, *after, more_fields=None, output=True):
        """A whole flow around the application, with nodes that read its result."""
        fields = self.fields | (more_fields or {})
        tested = {"op": self.row.name, "inputs": self.names, **self.attributes}
        nodes = {Side.CACHE: [], Side.INDEXER: []}
        nodes[self.side] = [*self.before, tested, *after]
        written = {node["field"] for node in nodes[Side.CACHE] if "field" in node}
        nodes[Side.CACHE] += [{"op": "Fill", "inputs": [], "field": f} for f in fields if f not in written]
        if output and not (self.side is Side.INDEXER and self.row.rule in OUTPUTS):
            nodes[Side.INDEXER] += [{"op": "Load", "inputs": ["@score"]}]
            nodes[Side.INDEXER] += [{"op": "topK", "inputs": [f"%{len(nodes[Side.INDEXER]) - 1}"]}]
        return json.dumps(
            {
                "format": "vortex-flow/1",
                "name": "probe",
                "shape": GQA,
                "fields": [{"name": f, "rows": rows, "cols": cols} for f, (rows, cols) in fields.items()],
                "cache": nodes[Side.CACHE],
                "indexer": nodes[Side.INDEXER],
            }
        )

    def result(self):
        return f"%{len(self.before)}"


def refusal(graph):
    """What the engine says against a graph; empty when it takes it."""
    try:
        _native.canonical_graph(graph)
    except VortexError as error:
        return error.message
    return ""


def check_type(case, made):
    """The engine has the same type for the result: it fits a field of that shape, or a refusal names it."""
    if case.side is Side.CACHE:
        store = {"op": "Write", "inputs": [case.result()], "field": "made"}
        assert refusal(case.graph(store, more_fields={"made": (made.rows, made.cols)})) == ""
        return
    end = {"op": "topK", "inputs": [case.result()]}
    said = refusal(case.graph(end, output=False))
    if made == Type(FORMAT.RAGGED, 1, 1):
        assert said == ""
    elif made.format is FORMAT.PAGES:
        assert said == "topK(set of pages): a set of pages is not a tensor"
    else:
        assert said == f"topK({made.text(Side.INDEXER)}): the score must be ragged [S, 1, 1]"


@pytest.mark.parametrize("seed", range(4))
def test_random_applications(seed):
    rng = random.Random(seed)
    taken, refused = set(), 0
    for _ in range(500):
        case = Case(rng)
        said = refusal(case.graph())
        try:
            made = case.inferred()
        except Refused as fault:
            assert said != "", (fault.message, case.graph())
            refused += 1
            continue
        assert said == "", case.graph()
        taken.add(case.row.name)
        if made is not None:
            check_type(case, made)
    assert refused > 100
    assert len(taken) > 35, sorted(OPS.keys() - taken)
