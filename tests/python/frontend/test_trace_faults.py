"""Every mistake an author can make: what is said, and that it is said at the author's line and column."""

import pytest
from recording import GQA, MLA

OF_A_TENSOR = " on a tensor, which has no numbers while the flow is recorded"
NO_LISTS = "Conv1d: weight must be a list of lists of lists of numbers, [taps][rows][cols]"
WEIGHTS = " holds weights, which a recorded flow does not"
REGISTER = "from vortex.flow import register\n"

INDEXER = [
    # An operator's rule, with the shapes it met.
    (
        "x = I.GeMM()(I.Mean(dim=2)(q, ctx=ctx), cache['c'], ctx=ctx)",
        "I.GeMM()(I.Mean(dim=2)(q, ctx=ctx), cache['c'], ctx=ctx)",
        "GeMM(batched [1, 4, 1], paged [S, 1, 64]): last axes must be equal: out = y times x transposed",
        "",
    ),
    (
        "I.GeMV()(\n    q,\n    cache['c'],\n    ctx=ctx,\n)",
        "I.GeMV()(",
        "GeMV(batched [1, 4, 64], paged [S, 1, 64]): middle axes must be 1",
        "use GeMM",
    ),
    (
        "I.Softmax(0)(cache['c'], ctx=ctx)",
        "I.Softmax(0)(cache['c'], ctx=ctx)",
        "Softmax(paged [S, 1, 64]): needs a ragged tensor",
        "Load the field first",
    ),
    (
        "I.topK()(I.GeMM()(q, cache['c'], ctx=ctx), o, ctx=ctx)",
        "I.topK()(",
        "topK(ragged [S, 1, 4]): the score must be ragged [S, 1, 1]",
        "reduce the inner axes",
    ),
    (
        "I.Kron(dim=(1, 1))(q, cache['c'], ctx=ctx)",
        "I.Kron(dim=(1, 1))(q",
        "Kron(batched [1, 4, 64], paged [S, 1, 64]): dims must name axis 1, axis 2 or both",
        "",
    ),
    (
        "x = I.Load()(cache['c'], ctx=ctx)\nI.Conv1d([[[1.0]] * 64])(x, ctx=ctx)",
        "I.Conv1d([[[1.0]] * 64])(x",
        "Conv1d(ragged [S, 1, 64]): weight is [1, 64, 1]",
        "inner axes are those of x",
    ),
    # What operators are given.
    ("I.Mean(dim='1')", "I.Mean(dim='1')", "Mean: dim must be an integer, got '1'", ""),
    ("I.Mean(dim=True)", "I.Mean(dim=True)", "Mean: dim must be an integer, got True", ""),
    ("I.TopK(2**40)", "I.TopK(2**40)", "TopK: k must be an integer, got 1099511627776", ""),
    ("I.Add(alpha='1')", "I.Add(alpha='1')", "Add: alpha must be a number, got '1'", ""),
    ("I.Add(alpha=1e39)", "I.Add(alpha=1e39)", "Add: alpha is out of float32's range, got 1e+39", ""),
    ("I.Reshape(1, 2, 3)", "I.Reshape(1, 2, 3)", "Reshape: the first size must be -1, got 1", ""),
    (
        "I.Conv1d([[[1.0]], [[1.0, 2.0]]])",
        "I.Conv1d([[[1.0]]",
        NO_LISTS,
        "[[[0.25]], [[0.5]], [[0.25]]]",
    ),
    ("I.Conv1d(0.5)", "I.Conv1d(0.5)", NO_LISTS, ""),
    ("I.Parameter([[1.0]])", "I.Parameter([[1.0]])", "Parameter" + WEIGHTS, "Project"),
    ("I.LearnedQuery()", "I.LearnedQuery()", "LearnedQuery" + WEIGHTS, "Project"),
    ("I.Project(7, 1, 64)", "I.Project(7, 1, 64)", "Project: parameter must be a name, got 7", ""),
    ("I.Abs()(1.0, ctx=ctx)", "I.Abs()(1.0", "Abs of a float, which is no tensor of a flow", "come from q, cache"),
    ("I.Abs()(q, ctx=None)", "I.Abs()(q", "Abs: ctx is a NoneType", "pass on the ctx"),
    ("I.topK()(I.Load()(cache['c'], ctx=ctx), None, ctx=ctx)", "I.topK()(", "topK: o is a NoneType", "pass on the o"),
    ("C.Abs()(q, None, None, ctx)", "C.Abs()(q", "Abs of vortex.cache is called in forward_indexer", "vortex.indexer"),
    ("ctx.topk_val", "ctx.topk_val", "ctx.topk_val is not known while the flow is recorded", "self.page_shape"),
    ("I.Union()(q, q, o, ctx=ctx)", "I.Union()(q", "Union joins the two tuples that two TopK gave", ""),
    # Fields.
    ("cache['cc']", "cache['cc']", "no field 'cc'", "did you mean 'c'?"),
    ("cache['c'] = q", "cache['c'] = q", "cache['c'] is assigned", "declare the field in create_cache"),
    (
        "x = I.Load()(cache['c'], ctx=ctx)\nI.Save()(x, cache['k'], ctx=ctx)",
        "I.Save()(x",
        "Save to 'k', which the engine writes",
        "",
    ),
    (
        "I.Save()(cache['c'], cache['c'], ctx=ctx)",
        "I.Save()(cache",
        "Save(paged [S, 1, 64]): saves a ragged tensor",
        "Load the field first",
    ),
    # Arithmetic of the host.
    ("q + 1", "q + 1", "+" + OF_A_TENSOR, "use Add()"),
    ("2 * q", "2 * q", "*" + OF_A_TENSOR, "use Multiply()"),
    ("q @ q", "q @ q", "@" + OF_A_TENSOR, "use GeMM()"),
    ("-q", "-q", "-" + OF_A_TENSOR, "use Add(1, -1)"),
    ("q < 0", "q < 0", "<" + OF_A_TENSOR, "use WhereLess()"),
    ("q[0]", "q[0]", "[]" + OF_A_TENSOR, "MaskSlice"),
    ("float(q)", "float(q)", "float()" + OF_A_TENSOR, "operator"),
    ("bool(q)", "bool(q)", "bool()" + OF_A_TENSOR, "operator"),
    ("q.mean(1)", "q.mean", ".mean" + OF_A_TENSOR, "operator"),
    ("list(q)", "list(q)", "iteration" + OF_A_TENSOR, "operator"),
    ("import numpy\nnumpy.mean(q)", "numpy.mean(q)", "a function of numpy" + OF_A_TENSOR, "operator"),
    ("sorted([q, q])", "sorted([q, q])", "<" + OF_A_TENSOR, "use WhereLess()"),
    (
        "cache['c'].shape[0] + 1",
        "cache['c'].shape[0] + 1",
        "+ on the number of pages, which is not known while the flow is recorded",
        "use Add()",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("code", "at", "message", "hint"), INDEXER, ids=[row[0][:40] for row in INDEXER])
def test_in_forward_indexer(probe, code, at, message, hint):
    probe.write(indexer=code)
    probe.refused(message, hint, at)


CACHE = [
    (
        "C.Mean(dim=0)(cache['k'], cache['c'], loc=loc, ctx=ctx)",
        "C.Mean(dim=0)(",
        "Mean([1, 16, 64]): dim must be 1 or 2, got 0",
        "",
    ),
    (
        "C.MeanInterleave(dim=1, k=5)(cache['k'], None, loc, ctx)",
        "C.MeanInterleave(dim=1, k=5)(",
        "MeanInterleave([1, 16, 64]): axis 1 of size 16 is not divisible by k = 5",
        "",
    ),
    (
        "C.Abs()(cache['k'], cache['c'], loc=loc, ctx=ctx)",
        "C.Abs()(",
        "Write([1, 16, 64]): the field is [1, 64]",
        "declare the shape that is written in create_cache",
    ),
    (
        "C.Mean(dim=1)(cache['k'], cache['k'], loc=loc, ctx=ctx)",
        "C.Mean(dim=1)(",
        "Write to 'k', which the engine writes",
        "",
    ),
    (
        "x = C.Mean(dim=1)(cache['k'], None, loc, ctx)\nC.Abs()(x, x, loc, ctx)",
        "C.Abs()(",
        "Write to vTensor(%0: [1, 1, 64]), which is no field",
        "leave output out",
    ),
    (
        "C.Mean(dim=1)(cache['k'], cache['c'], loc=loc, ctx=ctx)\nC.Abs()(cache['c'], None, loc, ctx)",
        "C.Abs()(",
        "Abs reads field 'c' in forward_cache",
        "keep the value in a variable",
    ),
    (
        "C.Mean(dim=1)(cache['k'], cache['c'], loc=loc, ctx=ctx)\nC.Fill(0.0)(cache['c'], loc=loc, ctx=ctx)",
        "C.Fill(0.0)(",
        "Fill writes field 'c' a second time",
        "first written at {path}:14:9",
    ),
    ("C.Mean(dim=1)(cache['k'], cache['c'], ctx=ctx)", "C.Mean(dim=1)(", "Mean: loc is a NoneType", "pass on the loc"),
    ("I.Abs()(cache['k'], ctx)", "I.Abs()(", "Abs of vortex.indexer is called in forward_cache", "vortex.cache"),
    ("C.Fill(0.0)(7, loc=loc, ctx=ctx)", "C.Fill(0.0)(7", "Fill of a int, which is no tensor of a flow", ""),
]  # fmt: skip


@pytest.mark.parametrize(("code", "at", "message", "hint"), CACHE, ids=[row[0][:40] for row in CACHE])
def test_in_forward_cache(probe, code, at, message, hint):
    probe.write(cache=code)
    probe.refused(message, hint, at)


ALWAYS = "k and v (latent for MLA) are always there"
FIELDS = [
    ("return {'k': (1, 64)}", "create_cache declares 'k', a reserved name", ALWAYS),
    ("return {'kv_c': (1, 64)}", "create_cache declares 'kv_c', a reserved name", ALWAYS),
    ("return {'2c': (1, 64)}", "'2c' is no field name", "letters, digits and _"),
    ("return {7: (1, 64)}", "7 is no field name", "letters, digits and _"),
    ("return [('c', 1)]", "create_cache returned a list", "return a dict"),
    ("pass", "create_cache returned a NoneType", "return a dict"),
    ("return {'c': 64}", "field 'c' has shape 64", "give (rows, cols)"),
    ("return {'c': (1, 2, 3, 4)}", "field 'c' has shape (1, 2, 3, 4)", "give (rows, cols)"),
    ("return {'c': (1, 64.0)}", "field 'c' has shape (1, 64.0)", "give (rows, cols)"),
    ("return {'c': (1, 64, 'bfloat61')}", "field 'c' has unknown storage 'bfloat61'", "did you mean 'bfloat16'?"),
    (
        "return {'c': (block_size // 32, 64)}",
        "field 'c' has impossible shape [0, 64] for group 4, head_dim 64, block_size 16",
        "an axis is empty",
    ),
    (
        "return {'c': (1, 70000)}",
        "field 'c' has impossible shape [1, 70000] for group 4, head_dim 64, block_size 16",
        "each axis from 1 to 65536",
    ),
    ("return {f'c{i}': (1, 1) for i in range(65)}", "create_cache declares 65 fields, at most 64", ""),
]


@pytest.mark.parametrize(("code", "message", "hint"), FIELDS, ids=[row[0][:40] for row in FIELDS])
def test_in_create_cache(probe, code, message, hint):
    probe.write(fields=code)
    probe.refused(message, hint, "def create_cache")


def test_an_unwritten_field_is_said_at_forward_cache(probe):
    probe.write(fields="return {'c': (1, head_dim), 'd': (1, 1)}")
    probe.refused("nothing writes field 'd' in forward_cache", "Fill it with 0", "def forward_cache")


def test_no_output_is_said_at_forward_indexer(probe):
    probe.write(indexer="I.GeMM()(q, cache['c'], ctx=ctx)")
    probe.refused("forward_indexer has no output", "end it with topK", "def forward_indexer")


def test_two_outputs_name_both_places(probe):
    score = "score = I.GeMM()(I.Mean(dim=1)(q, ctx=ctx), cache['c'], ctx=ctx)\n"
    probe.write(indexer=score + "I.topK()(score, o, ctx=ctx)\nI.approxTopK()(score, o, ctx=ctx)")
    probe.refused(
        "approxTopK is a second output of forward_indexer",
        "the first is at {path}:18:9; combine the scores",
        "I.approxTopK()(",
    )


def test_an_operator_that_is_called_twice_names_both_places(probe):
    probe.write(
        init="super().__init__()\nself.mean = I.Mean(dim=1)",
        indexer="a = self.mean(q, ctx=ctx)\nb = self.mean(a, ctx=ctx)",
    )
    probe.refused(
        "this Mean is called a second time",
        "first called at {path}:18:13; make one instance for each call",
        "self.mean(a, ctx=ctx)",
    )


def test_a_tensor_of_the_other_method(probe):
    probe.write(
        cache="self.kept = C.Mean(dim=1)(cache['k'], cache['c'], loc=loc, ctx=ctx)",
        indexer="I.GeMM()(q, self.kept, ctx=ctx)",
    )
    probe.refused("GeMM of a tensor from another method", "must write to a field", "I.GeMM()(")


def test_a_constructor_that_forgets_the_base(probe):
    probe.write(init="self.mean = I.Mean(dim=1)")
    probe.refused("Probe.__init__ does not call that of vFlow", "super().__init__()", "def __init__")


def test_a_constructor_that_wants_arguments(probe):
    probe.write()
    probe.write(probe.text.replace("__init__(self)", "__init__(self, tau)", 1))
    message = "the flow raised TypeError: Probe.__init__() missing 1 required positional argument: 'tau'"
    probe.refused(message, "", "def __init__")


def test_a_method_that_is_missing(probe):
    probe.write()
    probe.write(probe.text.replace("def forward_cache", "def forward_cash"))
    probe.refused("Probe has no forward_cache", "create_cache, forward_cache and forward_indexer", where="probe")


def test_the_authors_own_exceptions(probe):
    probe.write(fields="raise ValueError('pages of 32 only')")
    probe.refused("the flow raised ValueError: pages of 32 only", "", "raise ValueError")


def test_an_exception_below_the_authors_line(probe):
    probe.write(fields="import json\n        return json.loads('{')")
    probe.write(probe.text.replace("                return json", "        return json"))
    with pytest.raises(Exception) as caught:
        probe.graph()
    assert caught.value.message.startswith("the flow raised JSONDecodeError: ")
    assert caught.value.where == f"{probe.path}:12:16"


def test_a_call_with_the_wrong_arguments(probe):
    probe.write(indexer="I.GeMM()(q, ctx=ctx)")
    with pytest.raises(Exception) as caught:
        probe.graph()
    assert "missing 1 required positional argument: 'y'" in caught.value.message
    assert caught.value.where == f"{probe.path}:17:9"


def test_the_other_kind_of_attention(probe):
    probe.write()
    probe.refused(
        "this flow is for grouped-query attention (gqa), the model has latent attention (mla)",
        "",
        where="probe",
        shape=MLA,
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [("page_tokens", 0), ("group", 70000), ("head_dim", 1 << 20), ("scale", 0.0), ("scale", float("nan"))],
)
def test_impossible_shapes(probe, key, value):
    from vortex.errors import ConfigurationError

    probe.write()
    with pytest.raises(ConfigurationError, match=key):
        probe.graph(GQA | {key: value})


FILES = [
    ("x = (1,\n", "1:5", "'(' was never closed", "a syntax error"),
    ("\nimport flash_attn\n", "2:1", "there is no module 'flash_attn'", "install other packages"),
    ("from vortex.indexer import Mean, Fill\n", "1:1", "vortex.indexer has no 'Fill'", "vortex.cache has it"),
    ("from vortex.indexer import SoftMax\n", "1:1", "vortex.indexer has no 'SoftMax'", "did you mean 'Softmax'?"),
    ("def f():\n    return 1 / 0\n\nf()\n", "2:12", "the flow raised ZeroDivisionError: division by zero", ""),
    ("raise SystemExit(3)\n", "1:1", "the flow raised SystemExit: 3", ""),
    (REGISTER + "@register('a b')\nclass A: pass\n", "2:2", "'a b' is no name of a flow", "letters"),
    (REGISTER + "@register('a')\nclass A: pass\n", "2:2", "'a' is no flow", "derive the class from vFlow"),
    ("import os\n", "", "registers no flow", "@register"),
    ("x = 1\0\n", "", "source code string cannot contain null bytes", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "message", "hint"), FILES, ids=[row[2][:40] for row in FILES])
def test_in_the_file(probe, text, place, message, hint):
    from vortex.errors import TraceError

    probe.write(text)
    with pytest.raises(TraceError) as caught:
        probe.graph()
    assert message in caught.value.message
    assert hint in caught.value.hint
    if place:
        assert caught.value.where == f"{probe.path}:{place}"
    else:
        assert caught.value.where.startswith(str(probe.path))


TWO = "\n@register('second')\nclass Second(Probe):\n    pass\n"


def test_two_flows_and_no_name(probe):
    probe.write()
    probe.write(probe.text + TWO)
    probe.refused("registers 2 flows", "probe, second")
    from vortex.flow import registry

    registry._REGISTRY.clear()
    assert probe.graph(name="second")["name"] == "second"


def test_a_name_that_is_not_there(probe):
    probe.write()
    probe.refused("no flow 'prob'", "did you mean 'probe'?", name="prob")


def test_a_name_that_is_taken(probe):
    probe.write()
    probe.write(probe.text + TWO.replace("second", "probe"))
    probe.refused("a flow 'probe' is already registered", "", "register('probe')")


def test_a_file_that_is_not_there(probe):
    probe.refused("cannot be read: No such file or directory")
