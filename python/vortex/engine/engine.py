"""Engine: a model that answers, called as SGLang's."""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias, Unpack, overload

import numpy as np
import numpy.typing as npt

from vortex import _native, rank
from vortex.config import VortexConfig
from vortex.engine.explanation import Explanation, to_explanation
from vortex.engine.info import EngineInfo
from vortex.engine.keywords import to_settings
from vortex.engine.prompts import Batch, Ids, Params, Text, TokenIds, read_batch, token_ids
from vortex.engine.results import Answer, LogprobKeywords, LogprobOptions, Result
from vortex.engine.running import AsyncChunks, Running
from vortex.engine.sampling import RequestParams, read_params
from vortex.engine.vortex_argument import read_vortex, split_flat
from vortex.errors import InvalidArgumentError

Messages: TypeAlias = Sequence[Mapping[str, Any]]


class Engine:
    """One model, loaded. Any thread may call it; what waits lets other threads run, and Ctrl-C ends it.

    >>> with Engine("recall-gqa", vortex={"module_name": "sketch2_sparse_attention"}) as llm:
    ...     llm.generate("Hello", {"max_new_tokens": 16})["text"]
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str],
        *,
        vortex: VortexConfig | Mapping[str, Any] | str | None = None,
        offline: bool = False,
        **keywords: Any,
    ) -> None:
        """`model_path`: what `vortex run` takes as MODEL. `vortex`: sparse attention; None is dense. `offline`: use
        only what is on this machine. `keywords`: SGLang's and the names of our settings (docs/python.md).

        TypeError for an unknown keyword, ConfigurationError for an impossible value, NotFoundError and others of
        vortex.errors for what the model's files or the flow are refused for.
        """
        flat, rest = split_flat(keywords)
        config = read_vortex(vortex, flat)
        settings = to_settings(rest)
        vortex_json = config.to_json() if config else None
        self._native = _native.Engine(os.fspath(model_path), settings, vortex_json, offline, rank.command())
        self._close = weakref.finalize(self, self._native.close)
        self._info = EngineInfo.from_native(self._native.info)

    @property
    def info(self) -> EngineInfo:
        """The model, its limits and the flow."""
        return self._info

    def stats(self) -> dict[str, float]:
        """Counters since the start and gauges of now: requests, tokens, pages, seconds."""
        return self._native.stats

    def encode(self, text: str) -> npt.NDArray[np.int32]:
        """Token ids of plain text, with a begin-of-text token where the model wants one."""
        return self._native.encode(text)

    def decode(self, ids: TokenIds, skip_special_tokens: bool = False) -> str:
        """Text of token ids."""
        return self._native.decode(token_ids(ids, "ids"), skip_special_tokens)

    def encode_chat(self, messages: Messages, **template: Any) -> npt.NDArray[np.int32]:
        """Token ids of a conversation through the model's chat template, whose other inputs (`tools`,
        `enable_thinking`, ...) are `template`. A model without one takes the text of the last message."""
        if not self._info.has_chat_template:
            return self.encode(_last_text(messages))
        return self._native.encode_chat(json.dumps({"messages": list(messages), **template}))

    @overload
    def generate(
        self,
        prompt: str,
        sampling_params: Mapping[str, Any] | None = None,
        *,
        stream: Literal[False] = False,
        **logprobs: Unpack[LogprobKeywords],
    ) -> Result: ...
    @overload
    def generate(
        self,
        prompt: Text | None = None,
        sampling_params: Params | None = None,
        input_ids: Ids | None = None,
        *,
        stream: Literal[False] = False,
        **logprobs: Unpack[LogprobKeywords],
    ) -> Result | list[Result]: ...
    @overload
    def generate(
        self,
        prompt: Text | None = None,
        sampling_params: Params | None = None,
        input_ids: Ids | None = None,
        *,
        stream: Literal[True],
        **logprobs: Unpack[LogprobKeywords],
    ) -> Iterator[Result]: ...
    def generate(
        self,
        prompt: Text | None = None,
        sampling_params: Params | None = None,
        input_ids: Ids | None = None,
        *,
        stream: bool = False,
        **logprobs: Unpack[LogprobKeywords],
    ) -> Result | list[Result] | Iterator[Result]:
        """Continues a prompt, or each of a list; texts, or token ids as `input_ids`. `sampling_params`: one dict, or
        one for each prompt; what they leave out is as the model's authors suggest.

        One dict for one prompt, a list for a list and for `n` above 1. With `stream` an iterator, whose chunks carry
        the whole text so far. InvalidArgumentError names what is wrong with a request, before any of them runs.
        """
        batch = read_batch(prompt, input_ids, sampling_params, self.encode)
        running = self._send(batch, stream, LogprobOptions(**logprobs))
        return running.chunks() if stream else running.results()

    @overload
    def async_generate(
        self,
        prompt: str,
        sampling_params: Mapping[str, Any] | None = None,
        *,
        stream: Literal[False] = False,
        **logprobs: Unpack[LogprobKeywords],
    ) -> Awaitable[Result]: ...
    @overload
    def async_generate(
        self,
        prompt: Text | None = None,
        sampling_params: Params | None = None,
        input_ids: Ids | None = None,
        *,
        stream: Literal[False] = False,
        **logprobs: Unpack[LogprobKeywords],
    ) -> Awaitable[Result | list[Result]]: ...
    @overload
    def async_generate(
        self,
        prompt: Text | None = None,
        sampling_params: Params | None = None,
        input_ids: Ids | None = None,
        *,
        stream: Literal[True],
        **logprobs: Unpack[LogprobKeywords],
    ) -> AsyncChunks: ...
    def async_generate(
        self,
        prompt: Text | None = None,
        sampling_params: Params | None = None,
        input_ids: Ids | None = None,
        *,
        stream: bool = False,
        **logprobs: Unpack[LogprobKeywords],
    ) -> Awaitable[Any] | AsyncChunks:
        """As generate(), in an event loop: `await` it, or `async for` over it with `stream`. The request is sent at
        once; cancelling the task ends it."""
        batch = read_batch(prompt, input_ids, sampling_params, self.encode)
        running = self._send(batch, stream, LogprobOptions(**logprobs))
        return AsyncChunks(running.async_chunks()) if stream else running.async_results()

    @overload
    def chat(
        self,
        messages: Messages,
        sampling_params: Mapping[str, Any] | None = None,
        *,
        stream: Literal[False] = False,
        template: Mapping[str, Any] | None = None,
        **logprobs: Unpack[LogprobKeywords],
    ) -> Result: ...
    @overload
    def chat(
        self,
        messages: Messages,
        sampling_params: Mapping[str, Any] | None = None,
        *,
        stream: Literal[True],
        template: Mapping[str, Any] | None = None,
        **logprobs: Unpack[LogprobKeywords],
    ) -> Iterator[Result]: ...
    def chat(
        self,
        messages: Messages,
        sampling_params: Mapping[str, Any] | None = None,
        *,
        stream: bool = False,
        template: Mapping[str, Any] | None = None,
        **logprobs: Unpack[LogprobKeywords],
    ) -> Any:
        """The answer to a conversation: generate() of encode_chat(messages, **template)."""
        ids = self.encode_chat(messages, **(template or {}))
        running = self._send(Batch([ids], [sampling_params], single=True), stream, LogprobOptions(**logprobs))
        return running.chunks() if stream else running.results()

    def explain(
        self,
        prompt: str | None = None,
        sampling_params: Mapping[str, Any] | None = None,
        *,
        input_ids: TokenIds | None = None,
    ) -> Explanation:
        """Answers one prompt and tells what each step, layer and row read and how it scored the pages. It scores twice,
        so it takes longer. InvalidArgumentError when the engine is dense."""
        batch = read_batch(prompt, input_ids, sampling_params, self.encode)
        if not batch.single:
            raise InvalidArgumentError("it explains one prompt at a time", "explain")
        request = self._request(batch.prompts[0], self._read_params(batch.params[0]))
        selections = request.record_selections()
        (event,) = self._native.submit([request], False).wait()
        assert event.completion is not None  # what was not streamed has ended
        return to_explanation(batch.prompts[0], event.completion, selections)

    def shutdown(self) -> None:
        """Ends what runs, and gives the memory back. Calls after it raise InvalidArgumentError; a second one does
        nothing."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()

    def __repr__(self) -> str:
        state = "" if self._close.alive else ", shut down"
        return f"Engine({self._info.model_path!r}, {self._info.flow or 'dense'}{state})"

    def _send(self, batch: Batch, stream: bool, logprobs: LogprobOptions) -> Running:
        """All requests, or none when one is refused."""
        params = [self._read_params(values) for values in batch.params]
        for one in params:
            logprobs.apply(one.sampling)
        requests = [self._request(ids, one) for ids, one in zip(batch.prompts, params, strict=True)]
        single = batch.single and params[0].n == 1
        native = self._native.submit(requests, stream)
        answers: list[Answer] = []
        for id, ids, one in zip(native.ids, batch.prompts, params, strict=True):
            for _ in range(one.n):
                index = None if single else len(answers)
                answers.append(Answer(self._native, self._info.end_ids, str(id), ids, logprobs, index))
        return Running(native, answers, single)

    def _read_params(self, values: Mapping[str, Any] | None) -> RequestParams:
        return read_params(values, self._native.default_sampling)

    def _request(self, ids: npt.NDArray[np.int32], params: RequestParams) -> _native.Prompt:
        request = _native.Prompt(ids, params.sampling, params.n)
        request.set_sparsity(params.sparsity.topk_val, params.sparsity.topk_ratio, params.sparsity.dense)
        if params.grammar is not None:
            request.set_grammar(self._native.compile_grammar(*params.grammar))
        return request


def _last_text(messages: Messages) -> str:
    text = messages[-1].get("content") if messages else None
    if not isinstance(text, str):
        raise InvalidArgumentError("the last one has no text", "messages", "give it a content")
    return text
