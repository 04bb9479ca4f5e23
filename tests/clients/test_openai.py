"""The `openai` package, unmodified, against our server."""

import asyncio
import json
import math

import pytest
from program import MODEL, vortex_json
from serving import eventually, start_vortex
from wire import get

openai = pytest.importorskip("openai", reason="tests/clients/requirements-openai.txt is not installed")

KEY = "sk-of-a-test"
NAME = "recall"
GREEDY = {"model": NAME, "temperature": 0}
QUESTION = [
    {
        "role": "user",
        "content": "The secret word for old stone is candle. The secret word for green apple is river. "
        "What is the secret word for old stone?",
    }
]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "maxLength": 12},
                "days": {"type": "integer", "minimum": 0, "maximum": 9},
            },
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}


@pytest.fixture(scope="module")
def server():
    running = start_vortex("--served-model-name", NAME, "--api-key", KEY, "--max-num-seqs", "8")
    yield running
    running.stop()


def client_of(server, kind=openai.OpenAI, **options):
    return kind(base_url=server.address + "/v1", api_key=options.pop("api_key", KEY), **options)


@pytest.fixture(scope="module")
def client(server):
    return client_of(server, max_retries=0, timeout=60)


def metric(server, name):
    text = server.ask(get("/metrics", f"Authorization: Bearer {KEY}")).body.decode()
    values = [line.rsplit(" ", 1)[1] for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name]
    assert values, f"{name} is not among the metrics"
    return sum(map(float, values))


def is_idle(server):
    return metric(server, "vllm:num_requests_running") == 0 and metric(server, "vllm:num_requests_waiting") == 0


# --- answers


def test_models(client):
    models = client.models.list().data
    assert [model.id for model in models] == [NAME]
    assert client.models.retrieve(NAME).object == "model"


def test_a_chat_says_what_the_command_line_says(client):
    answer = client.chat.completions.create(messages=QUESTION, max_completion_tokens=12, **GREEDY)
    told = vortex_json("run", MODEL, QUESTION[0]["content"], "--max-tokens", "12", "--temperature", "0")
    (choice,) = answer.choices
    assert "candle" in told["text"]
    assert choice.message.content == told["text"] and choice.message.role == "assistant"
    assert choice.finish_reason == told["finish_reason"]
    assert answer.usage.prompt_tokens == told["usage"]["prompt_tokens"]
    assert answer.usage.completion_tokens == told["usage"]["completion_tokens"]
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.object == "chat.completion" and answer.id.startswith("chatcmpl-") and answer._request_id


def test_a_stream_adds_up_to_the_whole_answer(client):
    asked = dict(messages=QUESTION, max_tokens=12, **GREEDY)
    whole = client.chat.completions.create(**asked)
    chunks = list(client.chat.completions.create(stream=True, stream_options={"include_usage": True}, **asked))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len({chunk.id for chunk in chunks}) == 1
    *parts, last = chunks
    text = "".join(chunk.choices[0].delta.content or "" for chunk in parts)
    assert text == whole.choices[0].message.content
    assert parts[-1].choices[0].finish_reason == whole.choices[0].finish_reason
    assert last.choices == [] and last.usage.completion_tokens == whole.usage.completion_tokens


def test_the_stream_helper_of_the_client(client):
    with client.chat.completions.stream(messages=QUESTION, max_tokens=32, **GREEDY) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    whole = client.chat.completions.create(messages=QUESTION, max_tokens=32, **GREEDY)
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content == whole.choices[0].message.content


def test_completions_with_echo_and_token_ids(client):
    asked = dict(max_tokens=4, logprobs=2, echo=True, **GREEDY)
    by_text = client.completions.create(prompt="The secret word for", **asked)
    choice = by_text.choices[0]
    assert by_text.object == "text_completion" and choice.text.startswith("The secret word for")
    assert "".join(choice.logprobs.tokens) == choice.text
    assert choice.logprobs.token_logprobs[0] is None and all(x <= 0 for x in choice.logprobs.token_logprobs[1:])
    without = client.completions.create(prompt="The secret word for", **asked | {"echo": False})
    assert choice.text == "The secret word for" + without.choices[0].text
    two = client.completions.create(prompt=["The secret word for", "old stone"], **asked)
    assert [c.index for c in two.choices] == [0, 1] and two.choices[0].text == choice.text


def test_log_probabilities_are_those_of_the_tokens(client):
    asked = dict(messages=QUESTION, max_tokens=6, logprobs=True, top_logprobs=4, **GREEDY)
    choice = client.chat.completions.create(**asked).choices[0]
    assert "".join(entry.token for entry in choice.logprobs.content) == choice.message.content
    for entry in choice.logprobs.content:
        tops = [top.logprob for top in entry.top_logprobs]
        assert len(tops) == 4 and tops == sorted(tops, reverse=True)
        assert entry.logprob == tops[0], "greedy takes the likeliest"
        assert sum(map(math.exp, tops)) <= 1 + 1e-4
        assert bytes(entry.bytes).decode(errors="replace") == entry.token


def test_several_answers_and_seeds(client):
    asked = dict(prompt="One two three", max_tokens=8, model=NAME, temperature=2, n=3, extra_body={"ignore_eos": True})
    first, again = (client.completions.create(seed=7, **asked) for _ in range(2))
    texts = [choice.text for choice in first.choices]
    assert [choice.index for choice in first.choices] == [0, 1, 2]
    assert texts == [choice.text for choice in again.choices]
    assert len(set(texts)) > 1


def test_stop_strings(client):
    whole = client.completions.create(prompt="One two three", max_tokens=16, **GREEDY).choices[0].text
    middle = whole[len(whole) // 2 : len(whole) // 2 + 2]
    cut = client.completions.create(prompt="One two three", max_tokens=16, stop=[middle], **GREEDY).choices[0]
    assert cut.text == whole[: whole.index(middle)] and cut.finish_reason == "stop"


def test_extensions_pass_through_extra_body(client):
    extra = {"top_k": 1, "vortex": {"report": True}}
    answer = client.chat.completions.create(messages=QUESTION, max_tokens=4, model=NAME, extra_body=extra)
    greedy = client.chat.completions.create(messages=QUESTION, max_tokens=4, **GREEDY)
    assert answer.choices[0].message.content == greedy.choices[0].message.content, "top_k 1 is greedy"
    assert answer.model_extra["vortex"]["active"] is False


def test_the_asynchronous_client_with_many_at_once(server, client):
    prompts = [f"The secret word for stone {i} is" for i in range(12)]
    alone = [client.completions.create(prompt=p, max_tokens=6, **GREEDY).choices[0].text for p in prompts]

    async def ask_all():
        async with client_of(server, openai.AsyncOpenAI, max_retries=0, timeout=120) as many:
            jobs = [many.completions.create(prompt=p, max_tokens=6, **GREEDY) for p in prompts]
            return [answer.choices[0].text for answer in await asyncio.gather(*jobs)]

    assert asyncio.run(ask_all()) == alone


# --- structured output and tools


def test_the_client_parses_structured_output(client):
    pydantic = pytest.importorskip("pydantic")

    class Place(pydantic.BaseModel):
        city: str = pydantic.Field(max_length=8)
        number: int = pydantic.Field(ge=0, le=99)

    parsed = client.chat.completions.parse(messages=QUESTION, max_tokens=400, response_format=Place, **GREEDY)
    place = parsed.choices[0].message.parsed
    assert isinstance(place, Place) and 0 <= place.number <= 99


def test_a_named_tool_is_called(client):
    choice = {"type": "function", "function": {"name": "get_weather"}}
    # This model likes to indent, one token a space, and the grammar allows 32 of them.
    asked = dict(messages=QUESTION, tools=[TOOL], tool_choice=choice, max_tokens=400, **GREEDY)
    answer = client.chat.completions.create(**asked).choices[0]
    (call,) = answer.message.tool_calls
    arguments = json.loads(call.function.arguments)
    assert call.function.name == "get_weather" and call.id and set(arguments) == {"city", "days"}
    assert answer.finish_reason in ("tool_calls", "stop")
    assert len(arguments["city"]) <= 12 and 0 <= arguments["days"] <= 9

    pieces = [chunk.choices[0].delta for chunk in client.chat.completions.create(stream=True, **asked) if chunk.choices]
    calls = [piece.tool_calls[0] for piece in pieces if piece.tool_calls]
    assert {part.index for part in calls} == {0} and calls[0].function.name == "get_weather" and calls[0].id
    assert "".join(part.function.arguments or "" for part in calls) == call.function.arguments


# --- errors

ERRORS = {
    "model": (dict(model="other"), openai.NotFoundError, "model_not_found", None),
    "temperature": (dict(temperature=-1), openai.BadRequestError, None, "temperature"),
    "top_logprobs": (dict(top_logprobs=3), openai.BadRequestError, None, "top_logprobs"),
    "n": (dict(n=10**6), openai.BadRequestError, None, "n"),
    "messages": (dict(messages=[]), openai.BadRequestError, None, "messages"),
    "context": (dict(max_tokens=10**6), openai.BadRequestError, "context_length_exceeded", None),
    "template": (dict(extra_body={"chat_template": "{{ 1 }}"}), openai.BadRequestError, None, "chat_template"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_become_the_clients_own(client, name):
    changes, kind, code, param = ERRORS[name]
    with pytest.raises(kind) as failure:
        client.chat.completions.create(**dict(messages=QUESTION, max_tokens=2, **GREEDY) | changes)
    error = failure.value
    assert error.type and error.message and error.request_id
    assert code is None or error.code == code
    assert param is None or error.param == param


def test_a_wrong_key(server):
    with pytest.raises(openai.AuthenticationError) as failure:
        client_of(server, api_key="sk-wrong", max_retries=0).models.list()
    assert failure.value.status_code == 401 and failure.value.code == "invalid_api_key"


def test_a_route_that_is_not_there(client):
    with pytest.raises((openai.NotFoundError, openai.APIStatusError)) as failure:
        client.embeddings.create(model=NAME, input="hi")
    assert failure.value.status_code in (404, 501) and failure.value.message


# --- clients that go away


def test_a_timeout_of_the_client_frees_the_server(server, client):
    hurried = client.with_options(timeout=0.3)
    with pytest.raises(openai.APITimeoutError):
        hurried.completions.create(prompt="word " * 3000, max_tokens=2000, extra_body={"ignore_eos": True}, **GREEDY)
    assert eventually(lambda: is_idle(server), 30)
    assert client.completions.create(prompt="hi", max_tokens=2, **GREEDY).choices


def test_leaving_a_stream_stops_it(server, client):
    before = metric(server, "vllm:generation_tokens_total")
    asked = dict(prompt="One two three", max_tokens=20_000, extra_body={"ignore_eos": True}, **GREEDY)
    stream = client.completions.create(stream=True, **asked)
    for _, chunk in zip(range(3), stream):
        assert chunk.choices
    stream.close()
    assert eventually(lambda: is_idle(server), 30)
    assert metric(server, "vllm:generation_tokens_total") - before < 20_000
