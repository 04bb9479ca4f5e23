"""Requests on their way, and the three ways to wait for them: at once, as a stream, and in an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterator
from dataclasses import dataclass

from vortex import _native
from vortex.engine.results import Answer, Result


@dataclass(frozen=True)
class Running:
    """What one call sent, and its answers by their number."""

    stream: _native.Stream
    answers: list[Answer]
    single: bool
    """One answer was asked for, by itself."""

    def results(self) -> Result | list[Result]:
        """Waits for all answers."""
        return self._all(self.stream.wait())

    def chunks(self) -> Iterator[Result]:
        """The answers as they grow. Leaving the loop early ends them."""
        try:
            while events := self.stream.wait():
                for event in events:
                    yield self.answers[event.answer].add(event)
        finally:
            self.stream.cancel()

    async def async_results(self) -> Result | list[Result]:
        """As results(), in an event loop."""
        try:
            return self._all(await self._news())
        finally:
            self.stream.cancel()

    async def async_chunks(self) -> AsyncGenerator[Result, None]:
        """As chunks(), in an event loop."""
        try:
            while events := await self._news():
                for event in events:
                    yield self.answers[event.answer].add(event)
                await asyncio.sleep(0)  # an engine that is faster than its reader must not keep the loop
        finally:
            self.stream.cancel()

    def _all(self, events: list[_native.AnswerEvent]) -> Result | list[Result]:
        results = [self.answers[event.answer].finished(event.completion) for event in events if event.completion]
        return results[0] if self.single else results

    async def _news(self) -> list[_native.AnswerEvent]:
        """What Stream.wait() gives, without blocking the loop."""
        while not (events := self.stream.poll()) and not self.stream.finished:
            await _readable(self.stream.fileno())
        return events


class AsyncChunks:
    """`async for chunk in llm.async_generate(..., stream=True)`; SGLang's callers `await` the call first, which gives
    the same object."""

    def __init__(self, chunks: AsyncGenerator[Result, None]) -> None:
        self._chunks = chunks

    def __aiter__(self) -> AsyncGenerator[Result, None]:
        return self._chunks

    def __await__(self) -> Generator[None, None, AsyncChunks]:
        return self._itself().__await__()

    async def _itself(self) -> AsyncChunks:
        return self

    async def aclose(self) -> None:
        """Ends the answers."""
        await self._chunks.aclose()


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, _settle, ready)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
