"""Writes quant_blocks.bin: blocks of every GGUF type and the floats they decode to, by the numpy reference of the
PyPI package gguf (made with 0.19.0).

Usage: python make_quant_blocks.py OUT.bin
File: for each type, in the order of TYPES: u32 block count, the blocks, then their float32 values.
"""
import struct
import sys

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as Type
from gguf.quants import dequantize, quantize

TYPES = ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"]
# Byte offsets of the half-precision scales: random bytes there could be infinite.
SCALES = {"Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q4_K": [0, 2], "Q5_K": [0, 2],
          "Q6_K": [208]}
RANDOM_BLOCKS = 6

rng = np.random.default_rng(7)


def random_blocks(name, kind):
    blocks = rng.integers(0, 256, (RANDOM_BLOCKS, GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
    for at in SCALES[name]:
        halves = rng.normal(0, 0.05, RANDOM_BLOCKS).astype(np.float16)
        halves[-1] = np.float16(3e-7)  # subnormal
        blocks[:, at:at + 2] = halves.view(np.uint8).reshape(-1, 2)
    return blocks


def blocks_of(name, kind):
    blocks = [random_blocks(name, kind)]
    if not name.endswith("_K"):  # gguf can also write these
        blocks.append(quantize(rng.normal(0, 1, (2, 32)).astype(np.float32), kind))
    return np.concatenate(blocks)


with open(sys.argv[1], "wb") as out:
    for name in TYPES:
        kind = Type[name]
        blocks = blocks_of(name, kind)
        out.write(struct.pack("<I", len(blocks)) + blocks.tobytes())
        out.write(dequantize(blocks, kind).astype("<f4").tobytes())
