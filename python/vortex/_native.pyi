"""The native module (python/native)."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from vortex.engine.results import SparsityReport, Timings

# Engine (engine.cc)

TokenLogprobs: TypeAlias = tuple[float, int, list[tuple[float, int]]]
"""Log-probability, token, and the likeliest in its place."""

def setting_names() -> list[str]: ...
def run_rank() -> None:
    """The life of a rank that an Engine started. VortexError where it fails."""

class Sampling:
    """sample::SamplingParams."""

    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repetition_penalty: float
    presence_penalty: float
    frequency_penalty: float
    logit_bias: list[tuple[int, float]]
    seed: int | None
    max_tokens: int
    min_tokens: int
    ignore_eos: bool
    stop: list[str]
    stop_token_ids: list[int]
    include_stop_str_in_output: bool
    skip_special_tokens: bool
    logprobs: int
    prompt_logprobs: int

class Grammar: ...

class Selections:
    """To be read when its request has ended."""

    layers: list[int]
    rows: int
    page_tokens: int
    def steps(self) -> list[tuple[int, int, bool, npt.NDArray[np.int32], npt.NDArray[np.float32]]]: ...

class Prompt:
    """A request: what it says and wants."""

    def __init__(self, ids: npt.NDArray[np.int32], sampling: Sampling, n: int = 1) -> None: ...
    def set_sparsity(self, topk_val: int | None, topk_ratio: float | None, dense: bool) -> None: ...
    def set_grammar(self, grammar: Grammar) -> None: ...
    def record_selections(self) -> Selections: ...

class Completion:
    """An answer that has ended."""

    @property
    def text(self) -> str: ...
    @property
    def tokens(self) -> npt.NDArray[np.int32]: ...
    @property
    def finish_reason(self) -> str: ...
    @property
    def stop_reason(self) -> int | str | None: ...
    @property
    def logprobs(self) -> list[TokenLogprobs]: ...
    @property
    def prompt_logprobs(self) -> list[TokenLogprobs]: ...
    @property
    def prompt_tokens(self) -> int: ...
    @property
    def completion_tokens(self) -> int: ...
    @property
    def cached_tokens(self) -> int: ...
    @property
    def timings(self) -> Timings: ...
    @property
    def intervals(self) -> npt.NDArray[np.float64]: ...
    @property
    def sparsity(self) -> SparsityReport: ...

class AnswerEvent:
    """What became of one answer since the last look."""

    @property
    def answer(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def tokens(self) -> npt.NDArray[np.int32]: ...
    @property
    def logprobs(self) -> list[TokenLogprobs]: ...
    @property
    def completion(self) -> Completion | None: ...

class Stream:
    """Requests that were sent together. Dropping it cancels what goes on."""

    def wait(self) -> list[AnswerEvent]: ...
    def poll(self) -> list[AnswerEvent]: ...
    def cancel(self) -> None: ...
    def fileno(self) -> int: ...
    @property
    def finished(self) -> bool: ...
    @property
    def ids(self) -> list[int]: ...

class Engine:
    def __init__(
        self,
        model: str,
        settings: list[tuple[str, str]],
        vortex_json: str | None,
        offline: bool,
        rank_command: list[str],
    ) -> None: ...
    @property
    def info(self) -> dict[str, Any]: ...
    @property
    def stats(self) -> dict[str, float]: ...
    @property
    def default_sampling(self) -> Sampling: ...
    def encode(self, text: str) -> npt.NDArray[np.int32]: ...
    def decode(self, ids: npt.NDArray[np.int32], skip_special_tokens: bool) -> str: ...
    def encode_chat(self, inputs_json: str) -> npt.NDArray[np.int32]: ...
    def compile_grammar(self, kind: str, text: str) -> Grammar: ...
    def submit(self, prompts: list[Prompt], streaming: bool) -> Stream: ...
    def close(self) -> None: ...

# Flow (flow.cc)

def flow_request(name_or_file: str) -> tuple[str | None, str | None]:
    """module_path and module_name."""

def trace_flow(module_path: str | None, module_name: str | None, shape_json: str) -> str: ...
def canonical_graph(graph_json: str) -> str: ...
def list_flows() -> list[tuple[str, str, str]]:
    """Name, attention, summary."""

def preflight(vortex_json: str, model: str | None, sweep: bool) -> list[tuple[str, str, str, str]]:
    """Severity, where, message, hint."""

def model_shape(model: str, page_tokens: int) -> str: ...
def select_pages(
    graph_json: str,
    keys: npt.NDArray[np.float32],
    values: npt.NDArray[np.float32],
    queries: npt.NDArray[np.float32],
    vortex_json: str,
    backend: str,
    kv_dtype: str,
) -> tuple[list[npt.NDArray[np.int32]], npt.NDArray[np.float32]]: ...
def select_latent_pages(
    graph_json: str,
    latents: npt.NDArray[np.float32],
    queries: npt.NDArray[np.float32],
    vortex_json: str,
    backend: str,
    kv_dtype: str,
) -> tuple[list[npt.NDArray[np.int32]], npt.NDArray[np.float32]]: ...

# Eval (eval.cc)

class Variants:
    def __init__(
        self,
        flows: list[str],
        configs: list[str],
        topk: list[int],
        ratios: list[float],
        block_sizes: list[int],
        layers_skip: list[int],
    ) -> None: ...

def run_recall(
    model: str,
    settings: list[tuple[str, str]],
    offline: bool,
    data: str,
    tasks: list[str],
    lengths: list[int],
    limit: int,
    variants: Variants,
    progress: Callable[[int, int], object] | None,
) -> tuple[str, list[tuple[str, bool]]]:
    """The report as JSON, and of each variant its series and whether it is a control."""

def run_fidelity(
    model: str,
    settings: list[tuple[str, str]],
    offline: bool,
    text: str,
    text_name: str,
    tokens: int,
    tail: int,
    variants: Variants,
    progress: Callable[[int, int], object] | None,
) -> tuple[str, list[tuple[str, bool]]]: ...
def run_latency(engine: Engine, input_len: int, output_len: int, batch: int, synthetic_context: bool) -> str: ...
