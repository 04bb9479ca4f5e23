// Mixtures of experts: what several families share.
#pragma once

#include <functional>
#include <string_view>

#include "loader/config_fields.h"
#include "loader/gguf.h"
#include "loader/model_config.h"

namespace vortex {

/// The names transformers has for the number of experts; read_hf_experts() honours them.
inline constexpr std::string_view kExpertCounts[] = {"num_experts", "num_local_experts", "n_routed_experts"};

/// The same in GGUF metadata.
inline constexpr std::string_view kGgufExpertCounts[] = {"expert_count", "expert_shared_count"};

/// The number of experts, how many a token goes to, and the width of one, which is the field `width`.
void read_hf_experts(ConfigFields& fields, std::string_view width, MoeConfig* out);

/// Makes the layers for which `mixed` holds mixtures; no list at all when none is.
void mix_layers(ModelConfig* out, const std::function<bool(int layer)>& mixed);

/// DeepSeek's form: all layers but the first first_k_dense_replace, of those every moe_layer_freq-th.
void read_dense_start(ConfigFields& fields, int usual_dense, ModelConfig* out);

/// What the routers of DeepSeek-V3 and its kin assume where config.json says nothing.
struct NoauxDefaults {
  int groups = 1;
  int top_groups = 1;
  float routed_scale = 1.0f;
};

/// DeepSeek-V3's router (arXiv:2412.19437, section 2.1.2): sigmoid scores; with a bias added, the best groups by their
/// two best experts and the best experts of those; their unbiased scores normalised and scaled.
void read_noaux_router(ConfigFields& fields, const NoauxDefaults& usual, MoeConfig* out);

/// Everything GGUF metadata says of experts and their router; `usual` where it names no scoring. A bias for the choice
/// shows as a tensor only. Also fills config->moe_layers.
void read_gguf_experts(const GgufFile& file, ConfigFields& fields, MoeConfig::Scoring usual, ModelConfig* out);

}  // namespace vortex
