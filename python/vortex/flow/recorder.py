"""Recorder: what operators write into while a flow's methods run; at the end, the graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from vortex.errors import TraceError
from vortex.flow.fields import Field
from vortex.flow.infer import Application, Refused, infer
from vortex.flow.places import place_of_call
from vortex.flow.shapes import Shape
from vortex.flow.table import OPS
from vortex.flow.tensor import vTensor
from vortex.flow.values import FORMAT, MAX_NODES, Side, Type
from vortex.names import SHORT, nearest

Node = dict[str, Any]


class ContextBase:
    """The `ctx` of a flow's methods: handed on to every operator, otherwise opaque."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise TraceError(
            f"ctx.{name} is not known while the flow is recorded",
            place_of_call(),
            "ctx is handed on to operators; self.page_shape has the shapes",
        )


class PageIndices:
    """The `o` of forward_indexer: what the output operator fills."""


class PageLocation:
    """The `loc` of forward_cache: which page is summarised."""


class FieldMap(dict[str, vTensor]):
    """The `cache` of a flow's methods."""

    def __missing__(self, name: str) -> NoReturn:
        raise TraceError(f"no field '{name}'", place_of_call(), nearest(name, self, SHORT))

    def __setitem__(self, name: str, value: Any) -> NoReturn:
        raise TraceError(
            f"cache['{name}'] is assigned",
            place_of_call(),
            "declare the field in create_cache, and give it to an operator as its output",
        )


class Recorder:
    """One recording of one flow for one shape."""

    def __init__(self, shape: Shape, fields: list[Field]) -> None:
        self.side = Side.CACHE
        self.context = ContextBase()
        self.indices = PageIndices()
        self.location = PageLocation()
        self.fields = {field.name: field for field in fields}
        self.nodes: dict[Side, list[Node]] = {Side.CACHE: [], Side.INDEXER: []}
        self._base = ("latent",) if shape.attention == "mla" else ("k", "v")
        self._shape = shape
        self._calls: dict[object, str] = {}
        self._stores: dict[tuple[Side, str], str] = {}
        self.output = ""  # place of the output operator's call

    def query(self) -> vTensor:
        return vTensor(self, Side.INDEXER, Type(FORMAT.BATCHED, self._shape.group, self._shape.head_dim), "q")

    def cache(self) -> FieldMap:
        """All fields, as the method that is recorded sees them."""
        tokens = Type(FORMAT.PAGED, self._shape.page_tokens, self._shape.head_dim)
        tensors = {name: vTensor(self, self.side, tokens, f"@{name}") for name in self._base}
        for field in self.fields.values():
            tensors[field.name] = vTensor(self, self.side, field.type, f"@{field.name}", field.dtype)
        return FieldMap(tensors)

    def call(self, operator: object, name: str) -> str:
        """Notes that an operator is called; the place of the call. An operator has one place in a flow."""
        at = place_of_call()
        before = self._calls.setdefault(operator, at)
        if before is not at:
            raise TraceError(
                f"this {name} is called a second time", at, f"first called at {before}; make one instance for each call"
            )
        return at

    def add(self, name: str, inputs: tuple[vTensor, ...], attributes: Mapping[str, Any], at: str) -> vTensor:
        """Appends a node that makes a tensor."""
        made = self._append(name, inputs, attributes, at)
        assert made, f"{name} makes no tensor"
        return vTensor(self, self.side, made, f"%{len(self.nodes[self.side]) - 1}")

    def store(self, name: str, values: tuple[vTensor, ...], field: vTensor, at: str, **attributes: Any) -> None:
        """Appends a node that stores to a declared field."""
        target = self._stored_field(name, field, at)
        before = self._stores.get((self.side, target))
        if before:
            raise TraceError(f"{name} writes field '{target}' a second time", at, f"first written at {before}")
        self._append(name, values, {"field": target, **attributes}, at)
        self._stores[self.side, target] = at

    def end(self, name: str, scores: tuple[vTensor, ...], attributes: Mapping[str, Any], at: str) -> None:
        """Appends the output."""
        if self.output:
            raise TraceError(
                f"{name} is a second output of forward_indexer",
                at,
                f"the first is at {self.output}; combine the scores instead",
            )
        self._append(name, scores, attributes, at)
        self.output = at

    def check_written(self, where: str) -> None:
        for name in self.fields:
            if (Side.CACHE, name) not in self._stores:
                raise TraceError(
                    f"nothing writes field '{name}' in forward_cache",
                    where,
                    "give it to an operator as its output, or Fill it with 0 if forward_indexer saves to it",
                )

    def _append(self, name: str, inputs: tuple[vTensor, ...], attributes: Mapping[str, Any], at: str) -> Type | None:
        for x in inputs:
            self._check_input(name, x, at)
        nodes = self.nodes[self.side]
        if len(nodes) >= MAX_NODES:
            raise TraceError(f"more than {MAX_NODES} operators", at)
        made = self._infer(name, inputs, attributes, at)
        nodes.append({"op": name, "inputs": [x._name for x in inputs], **attributes, "at": at})
        return made

    def _infer(self, name: str, inputs: tuple[vTensor, ...], attributes: Mapping[str, Any], at: str) -> Type | None:
        target = self.fields.get(attributes.get("field", ""))
        types = tuple(x._type for x in inputs)
        try:
            return infer(Application(self.side, OPS[name], attributes, types, target.type if target else None))
        except Refused as fault:
            raise TraceError(fault.message, at, fault.hint) from None

    def _check_input(self, name: str, x: vTensor, at: str) -> None:
        if x._recorder is not self or x._side is not self.side:
            raise TraceError(
                f"{name} of a tensor from another method",
                at,
                "what forward_indexer needs of a page, forward_cache must write to a field",
            )
        if self.side is Side.CACHE and x._name[1:] in self.fields:
            raise TraceError(
                f"{name} reads field '{x._name[1:]}' in forward_cache",
                at,
                "only the page's tokens can be read there; keep the value in a variable",
            )

    def _stored_field(self, name: str, field: vTensor, at: str) -> str:
        target = field._name[1:]
        if not field._name.startswith("@"):
            raise TraceError(
                f"{name} to {field!r}, which is no field", at, 'leave output out to get a result, or pass cache["name"]'
            )
        if target in self._base:
            raise TraceError(f"{name} to '{target}', which the engine writes", at)
        return target
