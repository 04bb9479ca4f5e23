"""Files written for vortex_torch: its module names, and torch's names, in a process that has neither."""

import subprocess
import sys

import pytest
from recording import GQA, PACKAGE, SOURCE, USUAL, run_child

FLOW = SOURCE.format(**USUAL)


def child(folder, text):
    (folder / "flow.py").write_text(text)
    answer, _ = run_child(folder, {"path": "flow.py", "name": None, "shapes": [GQA]})
    return answer


ALIASES = """
import vortex_torch, vortex_torch.indexer, vortex.indexer
import vortex_torch.engine.sgl.config, vortex_torch.engine.sgl.api
from vortex_torch.flow.flow import vFlow as a
from vortex_torch.flow.flow_mla import vFlowMLA
from vortex_torch.flow.registry import register as b, _REGISTRY
from vortex_torch.abs import ContextBase, FORMAT, vTensor, as_vtensor
from vortex_torch.flow import vFlow, register
from vortex_torch.cache import Mean as CMean, Fill as CFill
assert a is vFlow and b is register
assert vortex_torch.indexer is vortex.indexer and vortex_torch.cache.Mean is CMean
assert vortex_torch.engine.sgl.config.VortexConfig is vortex.VortexConfig
assert [f.name for f in FORMAT][:3] == ["BATCHED", "RAGGED", "PAGED"]
"""


def test_the_originals_modules_are_ours(tmp_path):
    answer = child(tmp_path, ALIASES + FLOW)
    assert answer.get("name") == "probe", answer


def test_a_missing_module_of_the_original_is_named(tmp_path):
    answer = child(tmp_path, "import vortex_torch.utils\n")
    assert answer["error"]["where"] == "flow.py:1:1"
    assert "vortex.utils" in answer["error"]["message"]


TORCH = """
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor, nn as other
from typing import Dict, Optional, Tuple

GB: Optional[torch.Tensor] = None

def helper(x: torch.Tensor, d: torch.dtype = torch.bfloat16, w: "torch.Tensor | None" = None,
           v: torch.device = torch.device("cuda", 0), s: torch.Size = torch.Size((1, 2)),
           g: Dict[str, torch.Tensor] = {}, m: Optional[nn.Module] = None,
           l: torch.LongTensor | None = None) -> Tuple[Tensor, int]:
    return x, 1

@torch.no_grad()
def f():
    with torch.no_grad():
        return helper(1)

@torch.no_grad
def g():
    return 2

assert (f(), g()) == ((1, 1), 2)
assert (torch.float32, torch.device("cuda", 0), torch.Size((1, 2))) == ("float32", "cuda:0", (1, 2))
assert torch.inf > 1e300
assert repr(F.softmax) == "torch.nn.functional.softmax"
"""


def test_torch_for_annotations_and_defaults(tmp_path):
    answer = child(tmp_path, TORCH + FLOW)
    assert answer.get("name") == "probe", answer


CALLS = [
    ("torch.zeros(3)", "torch.zeros is used, and torch is not installed"),
    ("torch.nn.functional.softmax(1, dim=0)", "torch.nn.functional.softmax is used, and torch is not installed"),
    ("torch.Tensor(3)", "torch.Tensor is used, and torch is not installed"),
    ("class A(torch.nn.Module): pass", "torch.nn.Module is used, and torch is not installed"),
]


@pytest.mark.parametrize(("code", "message"), CALLS)
def test_torch_that_is_called_is_named(tmp_path, code, message):
    answer = child(tmp_path, f"import torch\n{code}\n")
    assert answer["error"]["message"] == message
    assert answer["error"]["where"].startswith("flow.py:2:")


def test_torch_on_a_tensor_of_the_flow(tmp_path):
    answer = child(tmp_path, "import torch\n" + SOURCE.format(**USUAL | {"indexer": "torch.abs(q)"}))
    error = answer["graphs"][0]["error"]
    assert error["message"] == "torch.abs of a tensor, which has no numbers while the flow is recorded"
    assert (error["where"], error["hint"]) == ("flow.py:18:9", "use an operator of vortex.indexer or vortex.cache")


def test_what_is_called_comes_from_the_real_torch_when_there_is_one(tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/__init__.py").write_text("from torch.parts import zeros\n")
    (tmp_path / "torch/parts.py").write_text("def zeros(n):\n    return [0] * n\n")
    answer = child(tmp_path, "import torch\nassert torch.zeros(3) == [0, 0, 0]\nassert torch.zeros(1) == [0]\n" + FLOW)
    assert answer.get("name") == "probe", answer


def python(folder, code):
    command = f"import sys; sys.path.insert(0, {str(PACKAGE)!r}); " + code
    return subprocess.run(
        [sys.executable, "-P", "-c", command], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_compat_in_a_users_process(tmp_path):
    done = python(
        tmp_path,
        "import vortex.compat, vortex.indexer; from vortex_torch.indexer import Mean; "
        "print(Mean is vortex.indexer.Mean, 'torch' in sys.modules)",
    )
    assert done.stdout == "True False\n", done.stderr


def test_compat_prefers_the_original(tmp_path):
    (tmp_path / "vortex_torch").mkdir()
    (tmp_path / "vortex_torch/__init__.py").write_text("real = True\n")
    done = python(tmp_path, "sys.path.append('.'); import vortex.compat, vortex_torch; print(vortex_torch.real)")
    assert done.stdout == "True\n", done.stderr
