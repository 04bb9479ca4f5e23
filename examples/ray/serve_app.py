"""Replicas of vortex.Engine under Ray Serve.

serve run examples.ray.serve_app:build model=models/recall-gqa replicas=2        # http://127.0.0.1:8000
"""

import json

from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

import vortex


@serve.deployment(max_ongoing_requests=64, graceful_shutdown_timeout_s=120)
class Replica:
    """One engine. `generate` and `stream` are for handles, `__call__` for HTTP."""

    def __init__(self, model: str, **keywords):
        self.engine = vortex.Engine(model_path=model, **keywords)

    async def generate(self, prompt: str, sampling_params: dict | None = None) -> dict:
        return await self.engine.async_generate(prompt, sampling_params)

    async def stream(self, prompt: str, sampling_params: dict | None = None):
        """New text, piece by piece."""
        before = 0
        async for chunk in self.engine.async_generate(prompt, sampling_params, stream=True):
            yield chunk["text"][before:]
            before = len(chunk["text"])

    async def __call__(self, request: Request) -> Response:
        """POST {"prompt": ..., "sampling_params": {...}, "stream": false}."""
        try:
            body = await request.json()
            prompt, parameters = body["prompt"], body.get("sampling_params")
            if body.get("stream"):
                return StreamingResponse(self._events(prompt, parameters), media_type="text/event-stream")
            return JSONResponse(await self.generate(prompt, parameters))
        except (KeyError, TypeError, ValueError) as error:
            return JSONResponse({"error": {"message": f"{type(error).__name__}: {error}"}}, status_code=400)

    async def _events(self, prompt, parameters):
        try:
            async for text in self.stream(prompt, parameters):
                yield f"data: {json.dumps({'text': text})}\n\n"
            yield "data: [DONE]\n\n"
        except (TypeError, ValueError, vortex.errors.VortexError) as error:
            # The status is sent already: the stream says so and has no [DONE].
            yield f"data: {json.dumps({'error': {'message': str(error)}})}\n\n"

    def check_health(self):
        """Raises once the engine is gone; Ray then replaces the replica."""
        self.engine.stats()


def build(args: dict) -> serve.Application:
    """`model`, `replicas`, `cpus` and `gpus` of each; every other key is one of vortex.Engine."""
    keywords = dict(args)
    model = keywords.pop("model", "recall-gqa")
    replicas, cpus = int(keywords.pop("replicas", 2)), int(keywords.pop("cpus", 1))
    actor = {"num_cpus": cpus, "num_gpus": float(keywords.pop("gpus", 0))}
    keywords.setdefault("threads", cpus)
    return Replica.options(num_replicas=replicas, ray_actor_options=actor).bind(model, **keywords)
