"""Accuracy against what is read: the curve of docs/evaluation.md, from the shipped model and its questions.

Run it as a script (python examples/python/accuracy_curve.py), or cell by cell in an editor that knows `# %%`.
The 60 questions under seven flows and three budgets take about two minutes on two cores.
"""

# %% What is compared. A flow of your own joins the list as the name of its file: "my_flow.py".
import argparse
import sys
from pathlib import Path

import vortex
import vortex.eval
import vortex.plot

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models/recall-gqa"
QUESTIONS = MODEL / "eval/recall-4096.jsonl.gz"
FLOWS = [
    "dense",
    "block_sparse_attention",
    "gqa_quest_sparse_attention",
    "mean_std_sparse_attention",
    "quest_subpage",
    "sketch1_sparse_attention",
    "sketch2_sparse_attention",
    "oracle",
]
BUDGETS = [6, 13, 29]

options = argparse.ArgumentParser(description="Accuracy of flows against what they read")
options.add_argument("--limit", type=int, help="at most this many questions")
options.add_argument("--out", type=Path, default=Path("accuracy.png"), help="where the plot goes")
given = options.parse_args()


# %% Every question is read once and answered under every flow and budget.
def show(done: int, total: int) -> None:
    print(f"\r{done} of {total} answers", end="" if done < total else "\n", file=sys.stderr)


report = vortex.eval.recall(
    MODEL,
    QUESTIONS,
    flows=FLOWS,
    topk=BUDGETS,
    configs=vortex.VortexConfig(block_reserved_eos=2),
    limit=given.limit,
    progress=show,
)
print(report)

# %% The best of them, and what it costs.
best = report.best()
print(f"\n{best.name}: {best.accuracy:.3f}, dense {report.dense.accuracy:.3f}, {best.byte_fraction:.1%} of the bytes")

# %% The same as a picture.
figure = vortex.plot.plot_accuracy(report, title="recall-gqa, 4,096 tokens")
figure.savefig(given.out)
print(f"wrote {given.out}")
