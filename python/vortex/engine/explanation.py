"""Explanation: which pages each step, layer and row of an answer read, and how the flow scored all of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from vortex import _native

_Pages = npt.NDArray[np.int32]
_Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ExplainedStep:
    """One decode step. The first gives an answer's second token: the first comes from the prompt."""

    tokens: int
    """In the cache, the one that is decoded included."""
    page_count: int
    """Pages that they fill."""
    sparse: bool
    """False: no more pages than the budget, so all were read and none was scored."""
    pages: _Pages = field(repr=False)
    """[layers, rows, most pages of a row]: numbers of the pages read, ascending, then -1."""
    scores: _Scores = field(repr=False)
    """[layers, rows, page_count]: higher is better; NaN where nothing was scored, as the last reserved pages are."""


@dataclass(frozen=True)
class Explanation:
    """An answer, and what was read for it. A row is one kv head; page p holds the tokens tokens_of_page(p)."""

    text: str
    input_ids: npt.NDArray[np.int32]
    """The prompt; the tokens of a page are those of prompt and answer, one after the other."""
    output_ids: npt.NDArray[np.int32]
    flow: str
    page_size: int
    """Tokens of a page."""
    layers: npt.NDArray[np.int32]
    """Numbers, in the model, of the layers that select."""
    rows: int
    """Of a layer: kv heads, or 1 where attention is over latents."""
    steps: tuple[ExplainedStep, ...]

    def selected(self, step: int, layer: int, row: int) -> _Pages:
        """Pages read, ascending. `layer` is its number in the model."""
        pages: _Pages = self.steps[step].pages[self._place(layer), row]
        read: _Pages = pages[pages >= 0]
        return read

    def scores(self, step: int, layer: int, row: int) -> _Scores:
        """Of all pages; NaN where nothing was scored."""
        scores: _Scores = self.steps[step].scores[self._place(layer), row]
        return scores

    @property
    def page_counts(self) -> npt.NDArray[np.int64]:
        """[layers, pages]: how often each page was read, over all steps and rows."""
        most = max((step.page_count for step in self.steps), default=0)
        counts = np.zeros((len(self.layers), most), np.int64)
        for step in self.steps:
            for layer, pages in enumerate(step.pages):
                counts[layer] += np.bincount(pages[pages >= 0], minlength=most)
        return counts

    def coverage(self) -> npt.NDArray[np.float64]:
        """[layers]: share of the pages held that was read, over all steps and rows."""
        held = self.rows * sum(step.page_count for step in self.steps)
        shares: npt.NDArray[np.float64] = self.page_counts.sum(axis=1) / max(held, 1)
        return shares

    def tokens_of_page(self, page: int) -> tuple[int, int]:
        """First token of the page, and the one after its last, as if it were full."""
        if page < 0:
            raise IndexError(f"page {page} does not exist")
        return page * self.page_size, (page + 1) * self.page_size

    def ids_of_page(self, page: int) -> npt.NDArray[np.int32]:
        """Its token ids, for Engine.decode."""
        first, end = self.tokens_of_page(page)
        ids: npt.NDArray[np.int32] = np.concatenate([self.input_ids, self.output_ids])[first:end]
        return ids

    def _place(self, layer: int) -> int:
        places = np.flatnonzero(self.layers == layer)
        if not places.size:
            raise IndexError(f"layer {layer} does not select; these do: {self.layers.tolist()}")
        return int(places[0])

    def __repr__(self) -> str:
        share = f"{self.coverage().mean():.1%}" if self.steps else "none"
        return (
            f"Explanation({self.flow}: {len(self.output_ids)} tokens in {len(self.steps)} steps, "
            f"layers {self.layers.tolist()} x {self.rows} rows, pages of {self.page_size} tokens, {share} read; "
            f"text={self.text!r})"
        )


def to_explanation(
    prompt: npt.NDArray[np.int32], completion: _native.Completion, selections: _native.Selections
) -> Explanation:
    """From a request that has ended."""
    steps = tuple(ExplainedStep(*step) for step in selections.steps())
    return Explanation(
        text=completion.text,
        input_ids=prompt,
        output_ids=completion.tokens,
        flow=completion.sparsity["flow"] or "",
        page_size=selections.page_tokens,
        layers=np.asarray(selections.layers, np.int32),
        rows=selections.rows,
        steps=steps,
    )
