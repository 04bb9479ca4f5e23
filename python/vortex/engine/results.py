"""Results as SGLang's callers know them: plain dicts, whose shape is written down here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NotRequired, Required, TypeAlias, TypedDict

import numpy as np
import numpy.typing as npt

from vortex import _native
from vortex.engine.checks import flag, whole
from vortex.engine.prompts import token_ids

_INT32 = 2**31 - 1

Logprob: TypeAlias = tuple[float | None, int, str | None]
"""Log-probability (None for a prompt's first token), token, and its text when that was asked for."""


class FinishReason(TypedDict, total=False):
    type: Required[Literal["stop", "length"]]
    matched: int | str | None
    """Of "stop": the token or text that ended the answer; None when a grammar did."""
    length: int
    """Of "length": tokens generated."""


class SparsityReport(TypedDict):
    """What attention read: sums over decode steps, sparse layers and rows (docs/json.md)."""

    active: bool
    flow: str | None
    page_size: int
    pages_held: int
    pages_read: int
    read_fraction: float
    steps_sparse: int
    steps_dense: int
    layers_sparse: list[int]


class Timings(TypedDict):
    """Seconds, and tokens a second (docs/json.md)."""

    queue_s: float
    prefill_s: float
    ttft_s: float
    decode_s: float
    decode_tokens_per_s: float
    prefill_tokens_per_s: float


class MetaInfo(TypedDict):
    id: str
    finish_reason: FinishReason | None
    """None while a streaming answer goes on."""
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: NotRequired[int]
    """This and what follows come with the end of an answer."""
    e2e_latency: NotRequired[float]
    timings: NotRequired[Timings]
    vortex: NotRequired[SparsityReport]
    output_token_logprobs: NotRequired[list[Logprob]]
    output_top_logprobs: NotRequired[list[list[Logprob]]]
    input_token_logprobs: NotRequired[list[Logprob]]
    input_top_logprobs: NotRequired[list[list[Logprob]]]


class Result(TypedDict):
    text: str
    output_ids: list[int]
    meta_info: MetaInfo
    index: NotRequired[int]
    """Number of the answer among those of the call, in a stream of several."""


class LogprobKeywords(TypedDict, total=False):
    """Arguments of generate() about probabilities, as SGLang's."""

    return_logprob: bool
    logprob_start_len: int
    """The prompt's too, from this token on; -1: none of them."""
    top_logprobs_num: int
    """And so many of the likeliest tokens at each place."""
    return_text_in_logprobs: bool


@dataclass(frozen=True)
class LogprobOptions:
    """The same, with what holds for those that are not given."""

    return_logprob: bool = False
    logprob_start_len: int = -1
    top_logprobs_num: int = 0
    return_text_in_logprobs: bool = False

    def __post_init__(self) -> None:
        flag("return_logprob", self.return_logprob)
        flag("return_text_in_logprobs", self.return_text_in_logprobs)
        whole("logprob_start_len", self.logprob_start_len, -1, _INT32)
        whole("top_logprobs_num", self.top_logprobs_num, 0, _INT32)

    @property
    def wants_prompt(self) -> bool:
        return self.return_logprob and self.logprob_start_len >= 0

    def apply(self, sampling: _native.Sampling) -> None:
        sampling.logprobs = self.top_logprobs_num if self.return_logprob else -1
        sampling.prompt_logprobs = self.top_logprobs_num if self.wants_prompt else -1


@dataclass
class Answer:
    """One answer on its way: what was told of it so far, and how to say it."""

    engine: _native.Engine
    end_ids: Sequence[int]
    """Tokens that end any answer."""
    id: str
    prompt: npt.NDArray[np.int32]
    logprobs: LogprobOptions
    index: int | None = None
    text: str = ""
    ids: list[int] = field(default_factory=list)
    output_logprobs: list[_native.TokenLogprobs] = field(default_factory=list)

    def add(self, event: _native.AnswerEvent) -> Result:
        """What is known after the event, from the answer's beginning."""
        self.text += event.text
        self.ids += event.tokens.tolist()
        self.output_logprobs += event.logprobs
        done = event.completion
        return self.finished(done) if done is not None else self._result(self.text, list(self.ids), self._progress())

    def finished(self, done: _native.Completion) -> Result:
        """The whole of it."""
        meta = self._progress()
        meta["finish_reason"] = self._finish_reason(done)
        meta["completion_tokens"] = done.completion_tokens
        meta["cached_tokens"] = done.cached_tokens
        meta["timings"] = done.timings
        meta["e2e_latency"] = meta["timings"]["ttft_s"] + meta["timings"]["decode_s"]
        meta["vortex"] = done.sparsity
        if self.logprobs.return_logprob:
            self._add_output_logprobs(meta, done.logprobs)
        if self.logprobs.wants_prompt:
            self._add_input_logprobs(meta, done.prompt_logprobs)
        return self._result(done.text, done.tokens.tolist(), meta)

    def _result(self, text: str, ids: list[int], meta: MetaInfo) -> Result:
        result: Result = {"text": text, "output_ids": ids, "meta_info": meta}
        if self.index is not None:
            result["index"] = self.index
        return result

    def _progress(self) -> MetaInfo:
        meta: MetaInfo = {
            "id": self.id,
            "finish_reason": None,
            "prompt_tokens": len(self.prompt),
            "completion_tokens": len(self.ids),
        }
        if self.output_logprobs:
            self._add_output_logprobs(meta, self.output_logprobs)
        return meta

    def _finish_reason(self, done: _native.Completion) -> FinishReason:
        if done.finish_reason == "length":
            return {"type": "length", "length": done.completion_tokens}
        last = int(done.tokens[-1]) if len(done.tokens) else None
        return {
            "type": "stop",
            "matched": last if done.stop_reason is None and last in self.end_ids else done.stop_reason,
        }

    def _add_output_logprobs(self, meta: MetaInfo, output: list[_native.TokenLogprobs]) -> None:
        meta["output_token_logprobs"] = [self._named(logprob, token) for logprob, token, _ in output]
        if self.logprobs.top_logprobs_num:
            meta["output_top_logprobs"] = [[self._named(*one) for one in top] for _, _, top in output]

    def _add_input_logprobs(self, meta: MetaInfo, rest: list[_native.TokenLogprobs]) -> None:
        """`rest`: of all tokens but the first, which has no probability."""
        start = self.logprobs.logprob_start_len
        first = self._named(None, int(self.prompt[0]))
        meta["input_token_logprobs"] = [first, *(self._named(logprob, token) for logprob, token, _ in rest)][start:]
        if self.logprobs.top_logprobs_num:
            tops: list[list[Logprob]] = [[], *([self._named(*one) for one in top] for _, _, top in rest)]
            meta["input_top_logprobs"] = tops[start:]

    def _named(self, logprob: float | None, token: int) -> Logprob:
        text = self.engine.decode(token_ids([token]), False) if self.logprobs.return_text_in_logprobs else None
        return (logprob, token, text)
