"""Hostile GGUF files: one line, status 1, whatever lies in them (reliability case 39)."""

import struct

import pytest
from model_images import ARRAY, BOOL, STRING, U64, Gguf, gguf_strings, gguf_text, u32
from program import assert_refused, vortex

FAILED = 1
BIG = 2**64 - 1


def tensor(**changes):
    return [dict(name="token_embd.weight", dims=[8, 4], type=0, offset=0) | changes]


def metadata(*fields):
    return [("general.architecture", (STRING, gguf_text("llama"))), *fields]


def nested(depth):
    payload = struct.pack("<IQ", 4, 0)
    for _ in range(depth - 1):
        payload = struct.pack("<IQ", ARRAY, 1) + payload
    return ARRAY, payload


LIES = {
    "magic": (Gguf(magic=b"GGML"), "does not start with 'GGUF'"),
    "magic_of_zeros": (Gguf(magic=bytes(4)), "does not start with 'GGUF'"),
    "version_0": (Gguf(version=0), "GGUF version 0"),
    "version_1": (Gguf(version=1), "GGUF version 1"),
    "version_4": (Gguf(version=4), "GGUF version 4"),
    "version_big_endian": (Gguf(version=0x03000000), "big endian"),
    "tensor_count": (Gguf(tensor_count=BIG), "claims 18446744073709551615 tensors"),
    "tensor_count_of_signed": (Gguf(tensor_count=2**63), "claims 9223372036854775808 tensors"),
    "tensor_count_too_low": (Gguf(tensor_count=0), "llama.vocab_size is missing"),
    "metadata_count": (Gguf(metadata_count=BIG), "claims 18446744073709551615 metadata entries"),
    "metadata_count_too_high": (Gguf(metadata_count=3), "cut.gguf"),
    "key_size": (Gguf(metadata=metadata(("k" * 70000, u32(1)))), "a string of 70000 bytes"),
    "string_size": (Gguf(metadata=metadata(("k", (STRING, struct.pack("<Q", BIG))))), "a string of 18446744073709551"),
    "string_beyond_the_file": (Gguf(metadata=metadata(("k", (STRING, struct.pack("<Q", 2**29))))), "cut off at byte"),
    "value_type": (Gguf(metadata=metadata(("k", (13, b"x")))), "unknown value type 13"),
    "value_type_of_array": (Gguf(metadata=metadata(("k", (ARRAY, struct.pack("<IQ", 99, 1))))), "value type 99"),
    "array_size": (Gguf(metadata=metadata(("k", (ARRAY, struct.pack("<IQ", U64, 2**61))))), "array elements"),
    "array_depth": (Gguf(metadata=metadata(("k", nested(5000)))), "nests arrays deeper than 4"),
    "boolean": (Gguf(metadata=metadata(("k", (BOOL, b"\2")))), "a boolean of 2"),
    "duplicate_key": (Gguf(metadata=metadata(("k", u32(1)), ("k", u32(1)))), "key 'k' twice"),
    "alignment_0": (Gguf(metadata=metadata(("general.alignment", u32(0)))), "general.alignment"),
    "alignment_24": (Gguf(metadata=metadata(("general.alignment", u32(24)))), "general.alignment"),
    "alignment_huge": (Gguf(metadata=metadata(("general.alignment", u32(2**31)))), "general.alignment"),
    "alignment_of_text": (Gguf(metadata=metadata(("general.alignment", (STRING, gguf_text("32"))))), "no power of two"),
    "duplicate_tensor": (Gguf(tensors=tensor() * 2), "tensor 'token_embd.weight' twice"),
    "name_size": (Gguf(tensors=tensor(name="n" * 65)), "a string of 65 bytes"),
    "rank_0": (Gguf(tensors=tensor(dims=[])), "has 0 dimensions"),
    "rank_5": (Gguf(tensors=tensor(dims=[1] * 5)), "has 5 dimensions"),
    "rank_huge": (Gguf(tensors=tensor(dims=[1] * 200_000)), "has 200000 dimensions"),
    "dimension_0": (Gguf(tensors=tensor(dims=[8, 0])), "an empty dimension"),
    "dimension_negative": (Gguf(tensors=tensor(dims=[BIG])), "out of range"),
    "ne_product": (Gguf(tensors=tensor(dims=[2**32, 2**32])), "impossible for float32"),
    "ne_product_to_zero": (Gguf(tensors=tensor(dims=[2**31, 2**31, 4])), "impossible for float32"),
    "ne_bytes": (Gguf(tensors=tensor(dims=[2**62 + 1])), "impossible for float32"),
    "no_whole_blocks": (Gguf(tensors=tensor(dims=[33, 2], type=2)), "impossible for q4_0"),
    "type": (Gguf(tensors=tensor(type=777)), "the type number 777"),
    "type_not_read": (Gguf(tensors=tensor(type=10)), "the type Q2_K"),
    "offset_not_aligned": (Gguf(tensors=tensor(offset=4)), "no multiple of 32"),
    "offset_beyond": (Gguf(tensors=tensor(offset=2**62)), "the file holds 128 bytes"),
    "offset_wraps": (Gguf(tensors=tensor(offset=BIG - 31)), "out of range"),
    "overlap": (Gguf(tensors=tensor() + tensor(name="output_norm.weight", dims=[8])), "overlaps"),
    "too_little_data": (Gguf(tensors=tensor(dims=[8, 5])), "needs 160 bytes from 0; the file holds 128"),
    "terabytes_in_a_small_file": (Gguf(tensors=tensor(dims=[2**20, 2**20])), "the file holds 128 bytes"),
    "no_architecture": (Gguf(metadata=[("k", u32(1))]), "unknown architecture ''"),
    "architecture_of_a_number": (Gguf(metadata=[("general.architecture", u32(1))]), "unknown architecture ''"),
    "architecture_of_a_list": (Gguf(metadata=[("general.architecture", gguf_strings(["llama"]))]), "architecture"),
    "no_sizes": (Gguf(), "llama.embedding_length is missing"),
}


@pytest.mark.parametrize("name", LIES)
@pytest.mark.parametrize("command", ["inspect", "run"])
def test_case_39_gguf_lies(tmp_path, name, command):
    image, part = LIES[name]
    path = tmp_path / "cut.gguf"
    path.write_bytes(image.build())
    assert_refused(vortex(command, path, *(["hi"] if command == "run" else [])), FAILED, path, part)


def test_case_39_gguf_cut_at_every_byte_of_the_header(tmp_path):
    """Gguf.RefusesEveryTruncation does the same with a whole model, in one process."""
    image = Gguf()
    path = tmp_path / "cut.gguf"
    for size in range(len(image.header()) + 1):
        path.write_bytes(image.build()[:size])
        assert_refused(vortex("inspect", path), FAILED, path)


def test_case_39_gguf_each_byte_of_the_header_set_to_extremes(tmp_path):
    path = tmp_path / "changed.gguf"
    whole = Gguf().build()
    for at in range(len(Gguf().header())):
        for value in (0x00, 0x7F, 0xFF):
            if whole[at] == value:
                continue
            path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            outcome = vortex("inspect", path)
            assert_refused(outcome, FAILED, path)
