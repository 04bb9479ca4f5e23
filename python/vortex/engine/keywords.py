"""Keywords of Engine: which are settings of ours, which change nothing here, which are refused."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from vortex import _native
from vortex.errors import UnsupportedError
from vortex.names import nearest

_log = logging.getLogger("vortex")

# SGLang's name: our setting. Names that are aliases of settings (page_size, tp_size, context_length,
# disable_radix_cache, ...) need no line: the settings table knows them.
RENAMED = {
    "max_running_requests": "max_num_seqs",
    "chunked_prefill_size": "max_num_batched_tokens",
    "random_seed": "seed",
}

# What SGLang's callers pass, and why it changes nothing.
HINTS = {
    "attention_backend": "there is one attention",
    "cuda_graph_bs": "there are no CUDA graphs",
    "cuda_graph_max_bs": "there are no CUDA graphs",
    "decode_log_interval": "stats() says what runs",
    "disable_cuda_graph": "there are no CUDA graphs",
    "disable_custom_all_reduce": "there is one device",
    "disable_overlap_schedule": "steps never overlap",
    "enable_cache_report": "results always say it",
    "enable_metrics": "stats() has them",
    "enable_mixed_chunk": "prompts and decodes share steps always",
    "enable_p2p_check": "there is one device",
    "enable_torch_compile": "there is no torch",
    "grammar_backend": "there is one",
    "log_requests": "requests are never logged",
    "max_prefill_tokens": "chunked_prefill_size bounds a step",
    "mem_fraction_static": "memory is set by kv_cache_memory_bytes",
    "sampling_backend": "there is one sampler",
    "schedule_conservativeness": "the scheduler needs no guess",
    "served_model_name": "nothing is served",
    "show_time_cost": "results always say it",
    "skip_tokenizer_init": "the tokenizer is always read; input_ids are taken anyway",
    "stream_interval": "news are told as they come",
    "tokenizer_mode": "there is one tokenizer",
    "trust_remote_code": "no code of a model is ever run",
    "watchdog_timeout": "nothing is watched",
}

# What would change the answers or the machine, and is not there. A neutral value is taken.
REFUSED = {
    "chat_template": "the model's own is used",
    "cpu_offload_gb": "all weights stay in memory",
    "dp_size": "make several engines",
    "enable_lora": "merge the weights into the model",
    "enable_multimodal": "prompts are text",
    "ep_size": "there is one device",
    "json_model_override_args": "edit config.json in a copy of the model",
    "lora_paths": "merge the weights into the model",
    "max_total_tokens": "set kv_cache_memory_bytes",
    "nnodes": "there is one machine",
    "pp_size": "there is one device",
    "quantization": "the weights' own format decides",
    "revision": "write it into the model: org/name@revision",
    "speculative_algorithm": "leave it out",
    "speculative_draft_model_path": "leave it out",
    "tokenizer_path": "put the tokenizer beside the weights",
    "torchao_config": "the weights' own format decides",
    "vortex_config": "give it as vortex",
}
_NEUTRAL = (None, False, 0, 1, "", "auto")

_LOG_LEVELS = {"warning": "warn", "critical": "error"}


def to_settings(keywords: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The settings that the keywords stand for, as the native module takes them. TypeError for unknown names."""
    settings = []
    known = set(_native.setting_names())
    for name, value in keywords.items():
        setting = RENAMED.get(name, name)
        if name in HINTS:
            _log.info("%s: changes nothing here, %s", name, HINTS[name])
        elif name in REFUSED:
            _refuse(name, value)
        elif setting not in known:
            raise TypeError(_unknown(name, known))
        elif value is not None:
            settings.append((setting, _text(name, value)))
    return settings


def _refuse(name: str, value: object) -> None:
    if value not in _NEUTRAL:
        raise UnsupportedError(f"{value!r} is not supported", name, REFUSED[name])


def _text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, int | float | str):
        raise TypeError(f"{name}: a {type(value).__name__} is no setting (give a number, a text or True or False)")
    text = str(value)
    return _LOG_LEVELS.get(text.lower(), text) if name == "log_level" else text


def _unknown(name: str, settings: set[str]) -> str:
    names = [*settings, *RENAMED, *HINTS, *REFUSED, "model_path", "vortex", "offline"]
    hint = nearest(name, names)
    return f"Engine() has no keyword '{name}'" + (f" ({hint})" if hint else "")
