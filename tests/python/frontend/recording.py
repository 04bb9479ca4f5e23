"""Flows that tests write, recorded in this process or by the child that the engine starts."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from program import BUILD

PACKAGE = BUILD / "python"

GQA = {"page_tokens": 16, "group": 4, "head_dim": 64, "attention": "gqa", "scale": 0.125}
MLA = {"page_tokens": 32, "group": 8, "head_dim": 576, "attention": "mla", "kv_lora_rank": 512, "scale": 0.1}

# The engine's own command line.
START = "import sys; sys.path[:0] = sys.argv[1:2]; from vortex.flow.trace_main import main; sys.exit(main(sys.argv[2]))"

SOURCE = """\
from vortex.flow import register, vFlow
import vortex.cache as C
import vortex.indexer as I

@register("probe")
class Probe(vFlow):
    def __init__(self):
        {init}

    def create_cache(self, block_size, head_dim):
        {fields}

    def forward_cache(self, cache, loc, ctx):
        {cache}

    def forward_indexer(self, q, o, cache, ctx):
        {indexer}
"""
USUAL = {
    "init": "super().__init__()",
    "fields": "return {'c': (1, head_dim)}",
    "cache": "C.Mean(dim=1)(cache['k'], cache['c'], loc=loc, ctx=ctx)",
    "indexer": "I.topK()(I.GeMM()(I.Mean(dim=1)(q, ctx=ctx), cache['c'], ctx=ctx), o, ctx=ctx)",
}


def place(text, part):
    """line:column of a part that occurs once."""
    assert text.count(part) == 1, part
    before = text[: text.index(part)]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


@dataclass
class Probe:
    path: Path

    def write(self, text=None, **methods):
        """The file, whole or by the methods that differ from the usual; their lines are indented here."""
        indented = {key: value.replace("\n", "\n        ") for key, value in (USUAL | methods).items()}
        self.text = text if text is not None else SOURCE.format(**indented)
        self.path.write_text(self.text)

    def graph(self, shape=GQA, name=None):
        from vortex.flow import loading, trace
        from vortex.flow.shapes import read_shape

        loading.load_flow_file(str(self.path))
        chosen, flow = loading.choose_flow(str(self.path), name)
        return trace(flow, read_shape(shape), chosen)

    def refused(self, message, hint="", at=None, where="", shape=GQA, name=None):
        """Recording fails with that message, at the place of the text `at`; {path} in the hint is the file."""
        from vortex.errors import VortexError

        with pytest.raises(VortexError) as caught:
            self.graph(shape, name)
        error = caught.value
        assert error.message == message
        assert hint.replace("{path}", str(self.path)) in error.hint, error.hint
        assert error.where == (f"{self.path}:{place(self.text, at)}" if at else where or str(self.path)), error.where


def run_child(folder, request, *options, **variables):
    """What the child leaves for the engine, and what it printed."""
    out = Path(folder) / "out.json"
    done = subprocess.run(
        [
            sys.executable,
            "-P",
            "-X",
            "utf8",
            *options,
            "-c",
            START,
            str(PACKAGE),
            json.dumps(request | {"out": str(out)}),
        ],
        cwd=folder,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTHON")} | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text()), done
