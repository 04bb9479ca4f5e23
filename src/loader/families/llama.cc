// Llama (arXiv:2302.13971) and what computes the same: SmolLM2, TinyLlama ...
#include "loader/families/families.h"

namespace vortex::families {
namespace {

constexpr HfName kNames[] = {{"LlamaForCausalLM", "llama"}};

void read_hf(ConfigFields& fields, ModelConfig* out) {
  out->qkv_bias = out->o_bias = fields.boolean("attention_bias").value_or(false);
  out->mlp_bias = fields.boolean("mlp_bias").value_or(false);
}

}  // namespace

constinit const Family kLlama{
    .hf = {.names = kNames, .defaults = {.max_positions = 2048}, .read = read_hf},
    .gguf = {.name = "llama", .interleaved_rope = true},  // the converter permutes q and k
};

}  // namespace vortex::families
