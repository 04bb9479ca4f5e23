"""Sampling parameters: SGLang's keys, read over the engine's defaults. Ranges are checked by the engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vortex import _native
from vortex.engine.checks import fault, flag, number, unknown, whole
from vortex.errors import InvalidArgumentError

_INT32 = 2**31 - 1
_MOST_TOKENS = 2**24
_MOST_SEED = 2**53
_MOST_IDS = 1024
_MOST_ANSWERS = 1024
_MOST_STOPS = 64


@dataclass(frozen=True)
class Sparsity:
    """A request's own say over its pages; None: the engine's."""

    topk_val: int | None = None
    topk_ratio: float | None = None
    dense: bool = False


@dataclass(frozen=True)
class RequestParams:
    """What one request asks for, beside its prompt."""

    sampling: _native.Sampling
    n: int = 1
    grammar: tuple[str, str] | None = None  # kind and text
    sparsity: Sparsity = Sparsity()


def read_params(values: Mapping[str, Any] | None, defaults: _native.Sampling) -> RequestParams:
    """`defaults` is changed and used. InvalidArgumentError names a key that is not known or has another type."""
    given = {key: value for key, value in (values or {}).items() if value is not None}
    for key in given:
        if key not in _KEYS:
            raise unknown(key, _KEYS, "sampling_params")
    for key, value in given.items():
        if key in _SAMPLING:
            attribute, read = _SAMPLING[key]
            setattr(defaults, attribute, read(key, value))
    n = whole("n", given["n"], 1, _MOST_ANSWERS) if "n" in given else 1
    return RequestParams(defaults, n, _read_grammar(given), _read_sparsity(given.get("vortex")))


def _within(low: int, high: int) -> Callable[[str, object], int]:
    return lambda key, value: whole(key, value, low, high)


def _texts(key: str, value: object) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or len(texts) > _MOST_STOPS or not all(isinstance(t, str) for t in texts):
        raise fault(key, value, f"a text or up to {_MOST_STOPS} of them")
    return list(texts)


def _ids(key: str, value: object) -> list[int]:
    if not isinstance(value, Iterable) or isinstance(value, str | bytes):
        raise fault(key, value, "token ids")
    ids = [whole(key, one, 0, _INT32) for one in value]
    if len(ids) > _MOST_IDS:
        raise fault(key, f"{len(ids)} ids", f"at most {_MOST_IDS}")
    return ids


def _bias(key: str, value: object) -> list[tuple[int, float]]:
    if not isinstance(value, Mapping) or len(value) > _MOST_IDS:
        raise fault(key, value, f"a dict of up to {_MOST_IDS} token ids to numbers")
    ids = [int(id) if isinstance(id, str) and id.isdecimal() else id for id in value]
    return [(whole(key, id, 0, _INT32), number(key, bias)) for id, bias in zip(ids, value.values(), strict=True)]


# Key: the attribute of the native module's Sampling, and how its value is read.
_SAMPLING: dict[str, tuple[str, Callable[[str, object], Any]]] = {
    "max_new_tokens": ("max_tokens", _within(0, _MOST_TOKENS)),
    "min_new_tokens": ("min_tokens", _within(0, _MOST_TOKENS)),
    "temperature": ("temperature", number),
    "top_p": ("top_p", number),
    "top_k": ("top_k", _within(-1, _INT32)),
    "min_p": ("min_p", number),
    "frequency_penalty": ("frequency_penalty", number),
    "presence_penalty": ("presence_penalty", number),
    "repetition_penalty": ("repetition_penalty", number),
    "stop": ("stop", _texts),
    "stop_token_ids": ("stop_token_ids", _ids),
    "no_stop_trim": ("include_stop_str_in_output", flag),
    "ignore_eos": ("ignore_eos", flag),
    "skip_special_tokens": ("skip_special_tokens", flag),
    "seed": ("seed", _within(0, _MOST_SEED)),
    "sampling_seed": ("seed", _within(0, _MOST_SEED)),
    "logit_bias": ("logit_bias", _bias),
}
_GRAMMARS = ("json_schema", "regex", "ebnf")
_SPARSITY = ("topk_val", "topk_ratio", "dense")
_KEYS = (*_SAMPLING, *_GRAMMARS, "n", "vortex")


def _read_grammar(given: Mapping[str, Any]) -> tuple[str, str] | None:
    kinds = [kind for kind in _GRAMMARS if kind in given]
    if not kinds:
        return None
    if len(kinds) > 1:
        raise InvalidArgumentError(f"{' and '.join(kinds)} are given", "sampling_params", "give one of them")
    text = given[kinds[0]]
    if kinds[0] == "json_schema" and isinstance(text, Mapping):
        text = json.dumps(text)
    if not isinstance(text, str):
        raise fault(kinds[0], text, "a text")
    return kinds[0], text


def _read_sparsity(values: object) -> Sparsity:
    if values is None:
        return Sparsity()
    if not isinstance(values, Mapping):
        raise fault("vortex", values, "a dict with topk_val, topk_ratio or dense")
    given = {key: value for key, value in values.items() if value is not None}
    for key in given:
        if key not in _SPARSITY:
            raise unknown(key, _SPARSITY, "sampling_params['vortex']")
    return Sparsity(
        whole("vortex.topk_val", given["topk_val"], 0, _MOST_TOKENS) if "topk_val" in given else None,
        number("vortex.topk_ratio", given["topk_ratio"]) if "topk_ratio" in given else None,
        flag("vortex.dense", given.get("dense", False)),
    )
