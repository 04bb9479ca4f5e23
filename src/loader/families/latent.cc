#include "loader/families/latent.h"

#include "loader/config_limits.h"
#include "loader/errors.h"

namespace vortex {

void make_latent(const MlaConfig& mla, ModelConfig* out) {
  out->mla = mla;
  out->kv_heads = 1;
  out->head_dim = mla.kv_lora_rank + mla.qk_rope_head_dim;
}

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

}  // namespace vortex
