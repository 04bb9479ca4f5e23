"""Evaluation: how good a flow is, and what it reads. docs/evaluation.md explains the measures.

>>> import vortex.eval
>>> report = vortex.eval.recall("recall-gqa", "models/recall-gqa/eval/recall-4096.jsonl.gz",
...                             flows=["dense", "my_flow.py"], topk=[13, 29], limit=20)
>>> report.best().name
'my_flow.py, topk 29'
"""

from vortex.eval.flows import Finding, FlowInfo, list_flows, preflight
from vortex.eval.results import FidelityReport, FidelityResult, RecallReport, RecallResult
from vortex.eval.runs import fidelity, recall
from vortex.eval.select import Selection, select_latent_pages, select_pages

__all__ = [
    "FidelityReport",
    "FidelityResult",
    "Finding",
    "FlowInfo",
    "RecallReport",
    "RecallResult",
    "Selection",
    "fidelity",
    "list_flows",
    "preflight",
    "recall",
    "select_latent_pages",
    "select_pages",
]
