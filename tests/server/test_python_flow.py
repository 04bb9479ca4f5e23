"""A server with a flow in Python: recorded by a child, and no Python in the process that serves."""

from pathlib import Path

from api import complete
from program import ROOT
from serving import start_vortex

FLOW = ROOT / "examples/flows/gqa_quest_sparse_attention.py"


def test_it_serves_the_flow_and_holds_no_python(tmp_path):
    served = start_vortex("--flow", FLOW, VORTEX_CACHE_DIR=str(tmp_path))
    try:
        answer = complete(served, "word " * 800, max_tokens=4, temperature=0, vortex={"report": True})
        assert answer["vortex"]["flow"] == FLOW.stem
        assert 0 < answer["vortex"]["pages_read"] < answer["vortex"]["pages_held"]
        process = Path(f"/proc/{served.pid}")
        assert "python" not in (process / "maps").read_text()
        assert (process / f"task/{served.pid}/children").read_text() == ""
    finally:
        assert served.stop() == 0
