#include "loader/families/latent.h"

#include "loader/config_limits.h"
#include "loader/errors.h"

namespace vortex {
namespace {

/// As ModelConfig wants it, once the latent's sizes are known.
void make_latent(const MlaConfig& mla, ModelConfig* out) {
  out->mla = mla;
  out->kv_heads = 1;
  out->head_dim = mla.kv_lora_rank + mla.qk_rope_head_dim;
}

}  // namespace

void read_hf_latent(ConfigFields& fields, ModelConfig* out) {
  fields.expect_boolean("attention_bias", false);
  fields.expect_boolean("mlp_bias", false);
  if (out->kv_heads != out->heads) {
    fields.fail(
        unsupported(fields.where(), fmt::format("{} kv heads of {} with latent attention", out->kv_heads, out->heads)));
  }
  MlaConfig mla;
  mla.kv_lora_rank = fields.required_integer("kv_lora_rank", 1, limits::kHeadDim);
  mla.q_lora_rank = fields.integer("q_lora_rank", 1, limits::kHidden).value_or(0);
  mla.qk_nope_head_dim = fields.required_integer("qk_nope_head_dim", 1, limits::kHeadDim);
  mla.qk_rope_head_dim = fields.required_integer("qk_rope_head_dim", 1, limits::kHeadDim);
  mla.v_head_dim = fields.required_integer("v_head_dim", 1, limits::kHeadDim);
  make_latent(mla, out);
}

void read_gguf_latent(ConfigFields& fields, ModelConfig* out) {
  const bool split = fields.has("attention.key_length_mla");
  const int kv_heads = split ? 1 : out->heads;
  if (out->kv_heads != kv_heads) {
    fields.fail(
        unsupported(fields.where(), fmt::format("{} kv heads of {} with latent attention", out->kv_heads, out->heads)));
  }
  MlaConfig mla;
  mla.kv_lora_rank = fields.required_integer("attention.kv_lora_rank", 1, limits::kHeadDim);
  mla.q_lora_rank = fields.integer("attention.q_lora_rank", 0, limits::kHidden).value_or(0);
  mla.qk_rope_head_dim = fields.required_integer("rope.dimension_count", 1, limits::kHeadDim);
  const std::string_view key = split ? "attention.key_length_mla" : "attention.key_length";
  const std::string_view value = split ? "attention.value_length_mla" : "attention.value_length";
  const int key_length = fields.required_integer(key, mla.qk_rope_head_dim + 1, limits::kHeadDim);
  mla.qk_nope_head_dim = key_length - mla.qk_rope_head_dim;
  mla.v_head_dim = fields.required_integer(value, 1, limits::kHeadDim);
  make_latent(mla, out);
}

}  // namespace vortex
