"""Writes tiny models of ../tiny as GGUF, by llama.cpp's conventions: python convert_tiny.py

Run by hand; its output lies here. It needs numpy 2.2.6 and gguf 0.19.0 (which asks for pyyaml, tqdm and requests),
none of which the tests install. gguf names the tensors; what llama.cpp's converter does to their values is below.
"""

import json
import pathlib
import struct

import gguf
import numpy as np

HERE = pathlib.Path(__file__).parent
TINY = HERE.parent / "tiny"
ARCH = gguf.MODEL_ARCH


def read_safetensors(path):
    raw = path.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + size])
    header.pop("__metadata__", None)
    out = {}
    for name, entry in header.items():
        assert entry["dtype"] == "F32", name
        start, end = (8 + size + offset for offset in entry["data_offsets"])
        out[name] = np.frombuffer(raw[start:end], np.float32).reshape(entry["shape"])
    return out


def stack_experts(tensors):
    """Of each projection one tensor for all experts."""
    out, stacks = {}, {}
    for name, value in tensors.items():
        if ".experts." not in name or not name.split(".experts.")[1][0].isdigit():
            out[name] = value
            continue
        before, after = name.split(".experts.")
        number, rest = after.split(".", 1)
        stacks.setdefault(f"{before}.experts.{rest}", {})[int(number)] = value
    for name, experts in stacks.items():
        out[name] = np.stack([experts[i] for i in range(len(experts))])
    return out


def permute_pairs(weight, heads):
    """Neighbours are rotated instead of halves."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)


def split_kv_b(tensors, config):
    """kv_b in two tensors of one matrix a head, that of the keys transposed."""
    out = {}
    nope, value_dim = config["qk_nope_head_dim"], config["v_head_dim"]
    for name, value in tensors.items():
        if not name.endswith("kv_b_proj.weight"):
            out[name] = value
            continue
        heads = value.reshape(config["num_attention_heads"], nope + value_dim, -1)
        keys, values = np.split(heads, [nope], axis=1)
        out[name.replace("kv_b_proj", "k_b_proj")] = np.ascontiguousarray(keys.transpose(0, 2, 1))
        out[name.replace("kv_b_proj", "v_b_proj")] = np.ascontiguousarray(values)
    return out


def split_gpt_oss(tensors):
    """Gate and up, which alternate, part ways; matrices become [out, in]."""
    out = {}
    for name, value in tensors.items():
        if name.endswith("gate_up_proj_bias"):
            out[name.replace("gate_up_proj_bias", "gate_proj.bias")] = value[:, ::2]
            out[name.replace("gate_up_proj_bias", "up_proj.bias")] = value[:, 1::2]
        elif name.endswith("gate_up_proj"):
            out[name.replace("gate_up_proj", "gate_proj.weight")] = value[:, :, ::2].transpose(0, 2, 1)
            out[name.replace("gate_up_proj", "up_proj.weight")] = value[:, :, 1::2].transpose(0, 2, 1)
        elif name.endswith("down_proj_bias"):
            out[name.replace("down_proj_bias", "down_proj.bias")] = value
        elif name.endswith("down_proj"):
            out[name + ".weight"] = value.transpose(0, 2, 1)
        else:
            out[name] = value
    return out


def write_sizes(w, c):
    rope = c["rope_parameters"]
    rope = rope.get("full_attention", rope)
    w.add_block_count(c["num_hidden_layers"])
    w.add_context_length(c["max_position_embeddings"])
    w.add_embedding_length(c["hidden_size"])
    w.add_feed_forward_length(c["intermediate_size"])
    w.add_head_count(c["num_attention_heads"])
    w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    w.add_rope_freq_base(rope["rope_theta"])
    w.add_vocab_size(c["vocab_size"])
    if rope["rope_type"] == "yarn":
        w.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        w.add_rope_scaling_factor(rope["factor"])
        w.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        if "mscale_all_dim" in rope:
            w.add_rope_scaling_yarn_log_mul(0.1 * rope["mscale_all_dim"])
    if "kv_lora_rank" not in c:
        w.add_head_count_kv(c["num_key_value_heads"])
        w.add_key_length(c["head_dim"])
        w.add_value_length(c["head_dim"])


def write_experts(w, c):
    w.add_expert_count(c.get("num_local_experts") or c["n_routed_experts"])
    w.add_expert_used_count(c["num_experts_per_tok"])
    w.add_expert_feed_forward_length(c.get("moe_intermediate_size", c["intermediate_size"]))
    if "n_shared_experts" in c:
        w.add_expert_shared_count(c["n_shared_experts"])
        w.add_expert_weights_scale(c["routed_scaling_factor"])
        w.add_expert_weights_norm(c["norm_topk_prob"])
        w.add_leading_dense_block_count(c["first_k_dense_replace"])
    if c.get("n_group"):
        w.add_expert_group_count(c["n_group"])
        w.add_expert_group_used_count(c["topk_group"])


def write_latent(w, c, split):
    rank, rope = c["kv_lora_rank"], c["qk_rope_head_dim"]
    if c["q_lora_rank"]:
        w.add_q_lora_rank(c["q_lora_rank"])
    w.add_kv_lora_rank(rank)
    w.add_rope_dimension_count(rope)
    if split:
        w.add_head_count_kv(1)
        w.add_key_length(rank + rope)
        w.add_value_length(rank)
        w.add_key_length_mla(c["qk_nope_head_dim"] + rope)
        w.add_value_length_mla(c["v_head_dim"])
    else:
        w.add_head_count_kv(c["num_key_value_heads"])
        w.add_key_length(c["qk_nope_head_dim"] + rope)
        w.add_value_length(c["v_head_dim"])


def llama(w, c, t):
    w.add_rope_dimension_count(c["head_dim"])
    for name in t:
        if name.endswith("q_proj.weight"):
            t[name] = permute_pairs(t[name], c["num_attention_heads"])
        elif name.endswith("k_proj.weight"):
            t[name] = permute_pairs(t[name], c["num_key_value_heads"])
    return t


def qwen3_moe(w, c, t):
    write_experts(w, c)
    return t


def deepseek(w, c, t, split):
    write_latent(w, c, split)
    write_experts(w, c)
    sigmoid = c["model_type"] != "deepseek_v2"
    w.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID if sigmoid else gguf.ExpertGatingFuncType.SOFTMAX)
    return split_kv_b(t, c) if split else t


def glm4_moe(w, c, t):
    w.add_rope_dimension_count(int(c["head_dim"] * c["partial_rotary_factor"]))
    write_experts(w, c)
    w.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    w.add_nextn_predict_layers(0)
    return t


def minimax_m2(w, c, t):
    w.add_rope_dimension_count(c["head_dim"])
    write_experts(w, c)
    w.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    return t


def gemma3(w, c, t):
    w.add_sliding_window(c["sliding_window"])
    w.add_sliding_window_pattern(c["layer_types"].index("full_attention") + 1)
    w.add_attention_scale(c["query_pre_attn_scalar"] ** -0.5)  # which real files leave to the reader
    return {name: value + 1 if name.endswith("norm.weight") else value for name, value in t.items()}


def gpt_oss(w, c, t):
    write_experts(w, c)
    w.add_sliding_window(c["sliding_window"])
    return split_gpt_oss(t)


# folder: architecture, and what it does.
MODELS = {
    "llama": (ARCH.LLAMA, llama),
    "qwen3_moe": (ARCH.QWEN3MOE, qwen3_moe),
    "deepseek_v2": (ARCH.DEEPSEEK2, lambda w, c, t: deepseek(w, c, t, split=False)),
    "deepseek_v3-yarn": (ARCH.DEEPSEEK2, lambda w, c, t: deepseek(w, c, t, split=True)),
    "glm4_moe": (ARCH.GLM4_MOE, glm4_moe),
    "minimax_m2": (ARCH.MINIMAXM2, minimax_m2),
    "gemma3_text": (ARCH.GEMMA3, gemma3),
    "gpt_oss": (ARCH.GPT_OSS, gpt_oss),
}


def gguf_name(names, name):
    for old, new in ((".e_score_correction_bias", ".e_score_correction.bias"), (".sinks", ".sinks.weight")):
        name = name.replace(old, new) if name.endswith(old) else name
    found = names.get_name(name, try_suffixes=(".weight", ".bias"))
    assert found, name
    return found


def convert(model):
    arch, prepare = MODELS[model]
    config = json.loads((TINY / model / "config.json").read_text())
    writer = gguf.GGUFWriter(None, gguf.MODEL_ARCH_NAMES[arch])
    names = gguf.get_tensor_name_map(arch, config["num_hidden_layers"])
    write_sizes(writer, config)
    tensors = prepare(writer, config, stack_experts(read_safetensors(TINY / model / "model.safetensors")))
    for name, value in tensors.items():
        writer.add_tensor(gguf_name(names, name), np.ascontiguousarray(value))
    writer.write_header_to_file(HERE / f"{model}.gguf")
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    for folder in MODELS:
        convert(folder)
