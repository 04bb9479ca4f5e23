"""python/vortex/_native.pyi says what is in the native module, no more and no less."""

import ast
from pathlib import Path

import vortex
from vortex import _native


def names(body):
    functions = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    fields = {node.target.id for node in body if isinstance(node, ast.AnnAssign) and node.simple}
    return functions | fields


def public(thing):
    return {name for name in vars(thing) if not name.startswith("_")}


def test_the_stub_and_the_module_have_the_same_names():
    tree = ast.parse((Path(vortex.__file__).parent / "_native.pyi").read_text())
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert functions | set(classes) == public(_native)
    for name, node in classes.items():
        assert names(node.body) - {"__init__"} == public(getattr(_native, name)), name
