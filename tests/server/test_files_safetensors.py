"""Hostile safetensors files and indexes (reliability case 40)."""

import json
import resource
import subprocess

import pytest
from model_images import entry, safetensors, tiny_model
from program import PROGRAM, assert_refused, environment, vortex

FAILED = 1
BIG = 2**64 - 1

LIES = {
    "empty_file": (b"", "the file is empty"),
    "seven_bytes": (b"1234567", "only 7 bytes"),
    "header_of_0": (safetensors({}, length=0), "does not start with a safetensors header"),
    "header_beyond_the_file": (safetensors({}, length=3), "claims a header of 3 bytes"),
    "header_of_2_to_the_64": (safetensors({}, length=BIG), "claims a header of 18446744073709551615"),
    "no_object": (safetensors(b"[]"), "does not start with a safetensors header"),
    "no_json": (safetensors(b"{'a': 1}"), "not valid JSON at byte"),
    "no_utf_8": (safetensors(b'{"\xff\xfe": {}}'), "not valid JSON"),
    "deep": (safetensors(b'{"t":{"shape":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"), "nests deeper than 3"),
    "duplicate": (safetensors(b'{"t":{},"t":{}}'), "the key 't' comes twice"),
    "begin_after_end": (safetensors({"t": entry(4, 0, shape=[4])}, bytes(4)), "data_offsets that are no range"),
    "negative_begin": (safetensors({"t": entry(-4, 0, shape=[4])}, bytes(4)), "data_offsets that are no range"),
    "negative_dimension": (safetensors({"t": entry(0, 4, shape=[-4])}, bytes(4)), "a dimension that is no size"),
    "end_of_2_to_the_64": (safetensors({"t": entry(0, BIG, shape=[4])}, bytes(4)), "data_offsets that are no range"),
    "end_beyond_the_file": (safetensors({"t": entry(0, 8)}, bytes(4)), "ends at data byte 8; the file holds 4"),
    "offsets_of_text": (safetensors({"t": entry(0, 4) | {"data_offsets": ["0", "4"]}}, bytes(4)), "that are no range"),
    "overlap": (safetensors({"a": entry(0, 4), "b": entry(2, 6)}, bytes(6)), "tensor 'b' overlaps"),
    "hole": (safetensors({"a": entry(0, 4), "b": entry(5, 9)}, bytes(9)), "leaves a gap at data byte 4"),
    "bytes_behind": (safetensors({"a": entry(0, 4)}, bytes(9)), "holds 9 bytes of data; its tensors need 4"),
    "shape_and_size": (safetensors({"t": entry(0, 4, "F32", [2])}, bytes(4)), "needs 8 bytes but has 4"),
    "shape_overflow": (safetensors({"t": entry(0, 4, "F32", [2**32, 2**32])}, bytes(4)), "impossible shape"),
    "rank": (safetensors({"t": entry(0, 4, shape=[1, 1, 1, 2, 2])}, bytes(4)), "5 dimensions"),
    "dtype": (safetensors({"t": entry(0, 4, "X9")}, bytes(4)), "dtype 'X9'"),
    "entry_of_a_number": (safetensors({"t": 7}), "not described by an object"),
}


def refused(model, *parts):
    assert_refused(vortex("run", model, "hi", "--max-tokens", "1"), FAILED, "model.safetensors", *parts)


@pytest.fixture
def model(tmp_path):
    return tiny_model(tmp_path / "model")


@pytest.mark.parametrize("name", LIES)
def test_case_40_safetensors_lies(model, name):
    image, part = LIES[name]
    (model / "model.safetensors").write_bytes(image)
    refused(model, part)


def test_case_40_header_of_100_mb_and_1(model):
    """The claim alone is refused, also where the file has room for it: nothing is parsed, no memory is taken."""
    with open(model / "model.safetensors", "wb") as file:
        file.write(safetensors(b"{", length=100_000_001))
        file.truncate(100_000_100)
    small = 1 << 30
    done = subprocess.run(
        [PROGRAM, "inspect", model],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (small, small)),
    )
    assert done.returncode == FAILED and "claims a header of 100000001 bytes" in done.stderr


def test_case_40_a_million_tensors(model):
    """Read in bounded time and memory, then refused as no model."""
    entries = ",".join(f'"t{i}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}' for i in range(1_000_000))
    (model / "model.safetensors").write_bytes(safetensors(("{" + entries + "}").encode()))
    outcome = vortex("run", model, "hi", "--max-tokens", "1", timeout=300)
    assert outcome.status == FAILED and outcome.err.count("\n") == 1, outcome.err
    assert "is missing" in outcome.err or "tensors" in outcome.err


def test_case_40_empty_tensors_may_share_an_offset(model):
    """Zero bytes overlap nothing: the answer is that of the file without them."""
    before = vortex("run", model, "hi", "--max-tokens", "4")
    assert before.status == 0, before.err
    raw = (model / "model.safetensors").read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    middle = sorted(v["data_offsets"][0] for k, v in header.items() if k != "__metadata__")[3]
    for index, at in enumerate((0, middle, middle, len(raw) - 8 - size)):
        header[f"model.layers.{index}.self_attn.rotary_emb.inv_freq"] = entry(at, at, "F32", [0])
    (model / "model.safetensors").write_bytes(safetensors(header, raw[8 + size :]))
    after = vortex("run", model, "hi", "--max-tokens", "4")
    assert (after.status, after.out) == (0, before.out), after.err


@pytest.mark.parametrize(
    "shard, part",
    [
        ("../model.safetensors", "no safetensors file of this folder"),
        ("/etc/passwd", "no safetensors file of this folder"),
        ("sub/model.safetensors", "no safetensors file of this folder"),
        ("model.bin", "no safetensors file of this folder"),
        ("gone.safetensors", "gone.safetensors: No such file"),
        (7, "is no file name"),
        ("a\u0000.safetensors", ".safetensors"),
    ],
)
def test_case_40_index_names(model, shard, part):
    (model / "model.safetensors").rename(model / "model-00001-of-00001.safetensors")
    index = {"weight_map": {"lm_head.weight": "model-00001-of-00001.safetensors", "model.norm.weight": shard}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    assert_refused(vortex("run", model, "hi"), FAILED, str(model), part)


def test_case_40_index_that_lies_about_its_shards(model):
    (model / "model.safetensors").rename(model / "all.safetensors")
    raw = (model / "all.safetensors").read_bytes()
    names = [name for name in json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")]) if name != "__metadata__"]
    index = model / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {name: "all.safetensors" for name in names}}))
    assert vortex("run", model, "hi", "--max-tokens", "1").status == 0
    index.write_text(json.dumps({"weight_map": {name: "all.safetensors" for name in names[1:]}}))
    assert_refused(vortex("run", model, "hi"), FAILED, names[0], "which the index puts elsewhere")
    index.write_text(json.dumps({"weight_map": {name: "all.safetensors" for name in [*names, "ghost"]}}))
    assert_refused(vortex("run", model, "hi"), FAILED, "'ghost'")
