"""Requests that share long prefixes, sent by several clients at once; what each of them got, and from which replica."""

import asyncio
import json
import random
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from client import read_chunks, read_head, read_lines

WORDS = ["amber", "basin", "cedar", "delta", "ember", "frost", "grove", "haven", "inlet", "jetty", "knoll", "ledge"]
ANSWER_LIMIT_S = 120


@dataclass
class Answer:
    sent_s: float
    end_s: float = 0.0
    status: int = 0
    error: str = ""
    done: bool = False
    replica: str = ""  # the part of the answer's id that is one process's own
    prompt_tokens: int = 0
    cached_tokens: int = 0
    text: str = ""

    @property
    def ok(self):
        return self.status == 200 and self.done and not self.error


@dataclass
class Traffic:
    """`answers` grows while it runs; those in flight are among them, with end_s 0."""

    answers: list = field(default_factory=list)

    def in_flight(self, replica):
        return [one for one in self.answers if not one.end_s and one.replica == replica]

    @property
    def finished(self):
        return sum(1 for one in self.answers if one.end_s)


def prompts_of(count, prefixes, words, seed=1):
    """`count` prompts in a random order, each one of `prefixes` beginnings of `words` words and an end of its own."""
    chooser = random.Random(seed)
    beginnings = [" ".join(chooser.choices(WORDS, k=words)) for _ in range(prefixes)]
    prompts = [f"{beginnings[index % prefixes]} question {index}" for index in range(count)]
    chooser.shuffle(prompts)
    return prompts


def note(answer, event):
    if "error" in event:
        answer.error = json.dumps(event["error"])
        return
    answer.replica = event["id"].rsplit("-", 1)[0]
    answer.text += "".join(choice.get("text") or "" for choice in event["choices"])
    if usage := event.get("usage"):
        answer.prompt_tokens = usage["prompt_tokens"]
        answer.cached_tokens = usage["prompt_tokens_details"]["cached_tokens"]


async def read_answer(reader, answer):
    answer.status, _ = await read_head(reader)
    async for line in read_lines(read_chunks(reader)):
        if line == b"data: [DONE]":
            answer.done = True
        elif line.startswith(b"data: "):
            note(answer, json.loads(line[6:]))


async def ask(address, body, answer):
    url = urlsplit(address)
    payload = json.dumps(body | {"stream": True, "stream_options": {"include_usage": True}}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: application/json\r\n"
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    try:
        writer.write(f"{head}Content-Length: {len(payload)}\r\nConnection: close\r\n\r\n".encode() + payload)
        await asyncio.wait_for(read_answer(reader, answer), ANSWER_LIMIT_S)
    finally:
        writer.close()


async def client(address, bodies, traffic):
    while bodies:
        answer = Answer(time.monotonic())
        traffic.answers.append(answer)
        try:
            await ask(address, bodies.pop(0), answer)
        except (OSError, ValueError, asyncio.IncompleteReadError, TimeoutError) as error:
            answer.error = f"{type(error).__name__}: {error}"
        answer.end_s = time.monotonic()


async def send(address, prompts, clients, traffic, **fields):
    """`clients` connections at a time take the next prompt until none is left."""
    common = {"model": "recall-gqa", "temperature": 0, "ignore_eos": True, "max_tokens": 8}
    bodies = [common | fields | {"prompt": prompt} for prompt in prompts]
    await asyncio.gather(*(client(address, bodies, traffic) for _ in range(clients)))


def hit_rate(answers):
    return sum(one.cached_tokens for one in answers) / sum(one.prompt_tokens for one in answers)
