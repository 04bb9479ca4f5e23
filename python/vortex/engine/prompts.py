"""From what the caller calls a prompt to what the engine takes: one or many, as text or as token ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from vortex.errors import InvalidArgumentError

TokenIds: TypeAlias = Sequence[int] | npt.NDArray[np.integer[Any]]
Text: TypeAlias = str | Sequence[str]
Ids: TypeAlias = TokenIds | Sequence[TokenIds]
Params: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]

_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class Batch:
    """Prompts as token ids, each with its sampling parameters. `single`: the caller gave one, and wants one answer."""

    prompts: list[npt.NDArray[np.int32]]
    params: list[Mapping[str, Any] | None]
    single: bool


def token_ids(values: TokenIds, where: str = "input_ids") -> npt.NDArray[np.int32]:
    """Token ids as the engine takes them; whether the model has them is its own business."""
    array = np.asarray(values)
    if array.size == 0:
        array = array.astype(np.int32)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InvalidArgumentError(
            "they are not a flat list of whole numbers", where, "give token ids, or lists of them"
        )
    if array.size and (array.min() < 0 or array.max() > _INT32.max):
        worst = array.min() if array.min() < 0 else array.max()
        raise InvalidArgumentError(f"token id {worst} is not in any vocabulary", where)
    return np.ascontiguousarray(array, dtype=np.int32)


def read_batch(
    prompt: Text | None,
    input_ids: Ids | None,
    params: Params | None,
    encode: Callable[[str], npt.NDArray[np.int32]],
) -> Batch:
    """`prompt` or `input_ids`, one or a list. InvalidArgumentError when both or none are there, or counts differ."""
    if (prompt is None) == (input_ids is None):
        raise InvalidArgumentError("give either prompt or input_ids", "generate")
    prompts, single = _from_texts(prompt, encode) if prompt is not None else _from_ids(input_ids)
    return Batch(prompts, _spread(params, len(prompts)), single)


def _from_texts(
    prompt: Text, encode: Callable[[str], npt.NDArray[np.int32]]
) -> tuple[list[npt.NDArray[np.int32]], bool]:
    if isinstance(prompt, str):
        return [encode(prompt)], True
    if not isinstance(prompt, Sequence) or not all(isinstance(text, str) for text in prompt):
        raise InvalidArgumentError("it is neither a text nor a list of texts", "prompt", "token ids go into input_ids")
    return [encode(text) for text in prompt], False


def _from_ids(ids: Any) -> tuple[list[npt.NDArray[np.int32]], bool]:
    many = ids.ndim == 2 if isinstance(ids, np.ndarray) else bool(len(ids)) and hasattr(ids[0], "__len__")
    return ([token_ids(one) for one in ids], False) if many else ([token_ids(ids)], True)


def _spread(params: Params | None, count: int) -> list[Mapping[str, Any] | None]:
    if params is None or isinstance(params, Mapping):
        return [params] * count
    if not isinstance(params, Sequence) or not all(isinstance(one, Mapping) for one in params):
        raise InvalidArgumentError("they are neither a dict nor a list of dicts", "sampling_params")
    if len(params) != count:
        raise InvalidArgumentError(f"{len(params)} of them for {count} prompts", "sampling_params", "give one for each")
    return list(params)
