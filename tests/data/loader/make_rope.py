"""Writes rope.json: inverse frequencies and attention scales as transformers computes them (made with 5.17).

Usage: python make_rope.py OUT.json    (needs torch and transformers)
"""
import json
import sys

import transformers
from transformers import LlamaConfig, Qwen3Config
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
from transformers.models.qwen3.modeling_qwen3 import Qwen3RotaryEmbedding

LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 512, "hidden_size": 256,
         "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2,
         "head_dim": 64, "max_position_embeddings": 131072}
QWEN3 = {**LLAMA, "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "head_dim": 128}
LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
YARN = {"factor": 4.0, "original_max_position_embeddings": 32768}

CASES = {
    "default": {**LLAMA, "rope_theta": 500000.0},
    "default_new": {**LLAMA, "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0}},
    "linear_old": {**LLAMA, "rope_theta": 10000.0, "rope_scaling": {"type": "linear", "factor": 2.5}},
    "linear_new": {**LLAMA, "rope_parameters": {"rope_type": "linear", "factor": 8.0, "rope_theta": 10000.0}},
    "llama3_old": {**LLAMA, "rope_theta": 500000.0, "rope_scaling": {"rope_type": "llama3", **LLAMA3}},
    "llama3_new": {**LLAMA, "rope_parameters": {"rope_type": "llama3", "rope_theta": 500000.0, **LLAMA3, "factor": 32.0}},
    "yarn_old": {**QWEN3, "rope_theta": 1000000.0, "rope_scaling": {"type": "yarn", **YARN}},
    "yarn_new": {**QWEN3, "rope_parameters": {"rope_type": "yarn", "rope_theta": 1000000.0, **YARN}},
    "yarn_range": {**QWEN3, "rope_parameters": {"rope_type": "yarn", "rope_theta": 150000.0, "factor": 32.0,
                   "original_max_position_embeddings": 4096, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False}},
    "yarn_betas": {**LLAMA, "rope_parameters": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 16.0,
                   "original_max_position_embeddings": 2048, "beta_fast": 16.0, "beta_slow": 2.0}},
    "yarn_mscale": {**LLAMA, "rope_parameters": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 40.0,
                    "original_max_position_embeddings": 4096, "mscale": 0.707, "mscale_all_dim": 1.0}},
    "yarn_mscale_zero": {**LLAMA, "rope_parameters": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 40.0,
                         "original_max_position_embeddings": 4096, "mscale": 1.0, "mscale_all_dim": 0.0}},
    "yarn_attention": {**LLAMA, "rope_parameters": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 40.0,
                       "original_max_position_embeddings": 4096, "attention_factor": 0.8}},
    "yarn_short": {**LLAMA, "max_position_embeddings": 4096, "rope_parameters": {"rope_type": "yarn",
                   "rope_theta": 1000000.0, "factor": 4.0, "original_max_position_embeddings": 128}},
}


def golden(case):
    is_qwen = case["model_type"] == "qwen3"
    config = (Qwen3Config if is_qwen else LlamaConfig)(**json.loads(json.dumps(case)))
    rope = (Qwen3RotaryEmbedding if is_qwen else LlamaRotaryEmbedding)(config)
    return {"config": case, "inverse_frequencies": [float(x) for x in rope.inv_freq], "scale": float(rope.attention_scaling)}


with open(sys.argv[1], "w") as out:
    cases = {name: golden(case) for name, case in CASES.items()}
    json.dump({"transformers": transformers.__version__, "cases": cases}, out, indent=1)
