"""The code in docs/python.md runs as it stands, one block after the other."""

import re

from program import ROOT


def test_the_code_of_the_page_runs(capsys):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), re.DOTALL)
    assert len(blocks) == 5
    names = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
    names["llm"].shutdown()
    assert names["told"].text and names["end"] - names["first"] == 16
    assert "sketch2_sparse_attention" in capsys.readouterr().out
