"""Model files made in memory, right or wrong on purpose."""

import json
import shutil
import struct
from dataclasses import dataclass, field
from pathlib import Path

from program import ROOT

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)


def gguf_text(text):
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def gguf_strings(texts):
    return ARRAY, struct.pack("<IQ", STRING, len(texts)) + b"".join(map(gguf_text, texts))


def u32(value):
    return U32, struct.pack("<I", value)


@dataclass
class Gguf:
    """A llama of one tensor. What is set may lie."""

    magic: bytes = b"GGUF"
    version: int = 3
    tensor_count: int | None = None
    metadata_count: int | None = None
    alignment: int = 32
    metadata: list = field(default_factory=lambda: [("general.architecture", (STRING, gguf_text("llama")))])
    tensors: list = field(default_factory=lambda: [dict(name="token_embd.weight", dims=[8, 4], type=0, offset=0)])
    data: bytes = bytes(8 * 4 * 4)

    def header(self):
        count = len(self.tensors) if self.tensor_count is None else self.tensor_count
        entries = len(self.metadata) if self.metadata_count is None else self.metadata_count
        out = self.magic + struct.pack("<IQQ", self.version, count, entries)
        for key, (kind, payload) in self.metadata:
            out += gguf_text(key) + struct.pack("<I", kind) + payload
        for tensor in self.tensors:
            out += gguf_text(tensor["name"]) + struct.pack("<I", len(tensor["dims"]))
            out += struct.pack(f"<{len(tensor['dims'])}Q", *tensor["dims"])
            out += struct.pack("<IQ", tensor["type"], tensor["offset"])
        return out

    def build(self):
        header = self.header()
        return header + bytes(-len(header) % self.alignment) + self.data


def safetensors(header, data=b"", length=None):
    """`header` is an object, or bytes as they are to stand there."""
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(begin, end, dtype="U8", shape=None):
    return {"dtype": dtype, "shape": [end - begin] if shape is None else shape, "data_offsets": [begin, end]}


def byte_characters():
    """The character that stands for each byte in a byte-level vocabulary."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(spare)) for byte in range(256)]


def tokenizer_json(**changes):
    """Three special tokens, 256 bytes and a few merges; `changes` replaces members ("model.merges" is one)."""
    pieces = ["<unk>", "<s>", "</s>", *byte_characters(), "ab", "abab"]
    split = {"type": "Split", "pattern": {"Regex": r"\s+|\S+"}, "behavior": "Isolated", "invert": False}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    out = {
        "version": "1.0",
        "added_tokens": [{"id": i, "content": pieces[i], "special": True, "normalized": False} for i in range(3)],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": None,
        "decoder": {"type": "ByteLevel"},
        "model": {
            "type": "BPE",
            "vocab": {piece: i for i, piece in enumerate(pieces)},
            "merges": [["a", "b"], ["ab", "ab"]],
        },
    }
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = out
        for parent in parents:
            place = place[parent]
        place[last] = value
    return out


def tiny_model(folder):
    """A random llama of three layers and 512 ids that answers within milliseconds; returns its folder."""
    folder = Path(folder)
    shutil.copytree(ROOT / "tests/data/tiny/llama", folder, ignore=shutil.ignore_patterns("golden.json"))
    for path in folder.iterdir():
        path.chmod(0o644)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_json()))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>"}))
    return folder
