"""A client for measurements: many streamed completions at once over plain sockets, nothing but the standard library."""

import asyncio
import json
import time
from dataclasses import dataclass, field


@dataclass
class Outcome:
    status: int = 0
    error: str = ""
    sent_s: float = 0.0  # when the request was sent, monotonic
    ttft_s: float | None = None
    intervals_s: list = field(default_factory=list)
    tokens: int = 0  # of the answer, as the usage says, else the chunks counted
    prompt_tokens: int = 0
    cached_tokens: int = 0
    text: str = ""
    end_s: float = 0.0
    done: bool = False  # the stream ended with [DONE]
    retry_after: str | None = None

    @property
    def ok(self) -> bool:
        return self.status == 200 and self.done and not self.error


async def read_head(reader) -> tuple[int, dict]:
    status_line = await reader.readline()
    if not status_line:
        raise ConnectionError("closed before the status line")
    headers = {}
    while (line := (await reader.readline()).strip()):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    return int(status_line.split()[1]), headers


async def read_chunks(reader):
    """The data of a chunked body, chunk after chunk."""
    while size := int((await reader.readline()).strip() or b"-1", 16):
        if size < 0:
            raise ConnectionError("cut short")
        data = await reader.readexactly(size)
        await reader.readexactly(2)
        yield data
    await reader.readline()


async def read_lines(chunks):
    rest = b""
    async for data in chunks:
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line


def note_event(outcome: Outcome, event: dict, last: float) -> float:
    """Counts one event; returns the time of the last token."""
    if usage := event.get("usage"):
        outcome.tokens = usage["completion_tokens"]
        outcome.prompt_tokens = usage["prompt_tokens"]
        outcome.cached_tokens = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    if "error" in event:
        outcome.error = json.dumps(event["error"])
    choices = event.get("choices") or []
    if not choices or not choices[0].get("text"):
        return last
    now = time.monotonic()
    outcome.text += choices[0]["text"]
    if outcome.ttft_s is None:
        outcome.ttft_s = now - outcome.sent_s
    else:
        outcome.intervals_s.append(now - last)
    return now


async def complete(port: int, body: dict, host="127.0.0.1", headers=(), stop_after: int | None = None) -> Outcome:
    """Sends a streamed completion and reads it to its end, or leaves after `stop_after` pieces of text."""
    outcome = Outcome(sent_s=time.monotonic())
    payload = json.dumps(body | {"stream": True, "stream_options": {"include_usage": True}}).encode()
    lines = [f"POST /v1/completions HTTP/1.1", f"Host: {host}:{port}", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(payload)}", "Connection: close", *headers]
    writer = None
    try:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + payload)
        outcome.status, received = await read_head(reader)
        outcome.retry_after = received.get("retry-after")
        if outcome.status != 200:
            outcome.error = (await reader.read(2000)).decode(errors="replace")
            return outcome
        await read_stream(outcome, reader, stop_after)
    except (OSError, ConnectionError, asyncio.IncompleteReadError) as fault:
        outcome.error = outcome.error or str(fault) or type(fault).__name__
    finally:
        outcome.end_s = time.monotonic()
        if writer is not None:
            writer.close()
    return outcome


async def read_stream(outcome: Outcome, reader, stop_after: int | None) -> None:
    last, pieces = 0.0, 0
    async for line in read_lines(read_chunks(reader)):
        if not line.startswith(b"data: "):
            continue
        if line.strip() == b"data: [DONE]":
            outcome.done = True
            return
        now = note_event(outcome, json.loads(line[6:]), last)
        pieces += now != last
        last = now
        if stop_after is not None and pieces >= stop_after:
            return


async def many(port: int, bodies: list, **keywords) -> list[Outcome]:
    """All at once."""
    return await asyncio.gather(*(complete(port, body, **keywords) for body in bodies))


def get(port: int, path: str, host="127.0.0.1", timeout=5.0) -> tuple[int, str]:
    """A plain GET, blocking."""
    import http.client

    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    finally:
        connection.close()
