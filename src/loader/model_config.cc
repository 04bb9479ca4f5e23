#include "loader/model_config.h"

#include <algorithm>
#include <cmath>

#include "loader/config_limits.h"
#include "loader/errors.h"
#include "loader/rope.h"

namespace vortex {
namespace {

Error impossible(const std::string& where, std::string message) {
  return Error{ErrorCode::kDataLoss, where, std::move(message), {}};
}

void add_once(const std::vector<int>& ids, int vocab_size, std::vector<int>* out) {
  for (int id : ids) {
    if (id < vocab_size && std::find(out->begin(), out->end(), id) == out->end()) out->push_back(id);
  }
}

bool slides(LayerType type) { return type == LayerType::kSlidingAttention; }

/// A window as long as the context never hides a token, and flows select in full layers only. A sliding layer with a
/// rope of its own stays one.
void forget_idle_windows(ModelConfig* config) {
  auto& types = config->layer_types;
  if (config->sliding_window >= config->max_position_embeddings && !config->sliding_rope) {
    std::replace(types.begin(), types.end(), LayerType::kSlidingAttention, LayerType::kFullAttention);
  }
  if (std::none_of(types.begin(), types.end(), slides)) config->sliding_window = 0;
}

/// Of q and k before they meet the latent; stretched by yarn's mscale twice, for q and for k (DeepSeek-V2).
float latent_attention_scale(const ModelConfig& config) {
  const MlaConfig& mla = config.mla;
  const RopeConfig& rope = config.rope;
  const double scale = 1.0 / std::sqrt(static_cast<double>(mla.qk_nope_head_dim + mla.qk_rope_head_dim));
  if (rope.variant == RopeConfig::Variant::kDefault || rope.mscale_all_dim.value_or(0.0) == 0.0) {
    return static_cast<float>(scale);
  }
  const double mscale = yarn_mscale(rope.factor, *rope.mscale_all_dim);
  return static_cast<float>(scale * mscale * mscale);
}

Status validate_rope(const RopeConfig& rope, int width, const std::string& where) {
  if (rope.rotary_dim >= 2 && rope.rotary_dim % 2 == 0 && rope.rotary_dim <= width) return {};
  return impossible(where, fmt::format("rotates {} of {} dimensions of a head", rope.rotary_dim, width));
}

Status validate_heads(const ModelConfig& config, const std::string& where) {
  if (config.heads % config.kv_heads != 0) {
    return impossible(where, fmt::format("{} heads are no multiple of {} kv heads", config.heads, config.kv_heads));
  }
  if (int64_t{config.heads} * config.head_dim > limits::kHidden) {
    return impossible(where, fmt::format("{} heads of {} are too wide", config.heads, config.head_dim));
  }
  return {};
}

Status validate_latent(const ModelConfig& config, const std::string& where) {
  const MlaConfig& mla = config.mla;
  const int64_t widest = int64_t{mla.qk_nope_head_dim} + std::max(mla.qk_rope_head_dim, mla.v_head_dim);
  if (config.head_dim > limits::kHeadDim || config.heads * widest > limits::kHidden) {
    return impossible(
        where, fmt::format("a latent of {} and {} heads of {} are too wide", config.head_dim, config.heads, widest));
  }
  if (config.rope.rotary_dim == mla.qk_rope_head_dim) return {};
  return unsupported(where,
                     fmt::format("rotates {} of {} rope dimensions", config.rope.rotary_dim, mla.qk_rope_head_dim));
}

Status validate_layers(const ModelConfig& config, const std::string& where) {
  if (config.layer_types.size() != static_cast<size_t>(config.layers)) {
    return impossible(where,
                      fmt::format("layer_types names {} of {} layers", config.layer_types.size(), config.layers));
  }
  if (config.sliding_window > 0 || std::none_of(config.layer_types.begin(), config.layer_types.end(), slides)) {
    return {};
  }
  return impossible(where, "has sliding layers and no sliding_window");
}

Status validate_experts(const MoeConfig& moe, const std::string& where) {
  if (moe.experts % moe.groups != 0) {
    return impossible(where, fmt::format("{} experts are no multiple of {} groups", moe.experts, moe.groups));
  }
  const int group = moe.experts / moe.groups;
  if (moe.top_groups > moe.groups) {
    return impossible(where, fmt::format("chooses {} of {} groups of experts", moe.top_groups, moe.groups));
  }
  if (moe.groups > 1 && moe.group_score == MoeConfig::GroupScore::kTop2Sum && group < 2) {
    return impossible(where, "scores groups of one expert by their two best");
  }
  if (moe.experts_per_token > int64_t{moe.top_groups} * group) {
    return impossible(where, fmt::format("sends a token to {} of {} experts", moe.experts_per_token,
                                         int64_t{moe.top_groups} * group));
  }
  if (int64_t{moe.shared_experts} * moe.intermediate_size > limits::kIntermediate) {
    return impossible(where,
                      fmt::format("{} shared experts of {} are too wide", moe.shared_experts, moe.intermediate_size));
  }
  return {};
}

Status validate(const ModelConfig& config, const std::string& where) {
  VORTEX_RETURN_IF_ERROR(validate_heads(config, where));
  VORTEX_RETURN_IF_ERROR(validate_rope(config.rope, config.head_dim, where));
  if (config.sliding_rope) VORTEX_RETURN_IF_ERROR(validate_rope(*config.sliding_rope, config.head_dim, where));
  VORTEX_RETURN_IF_ERROR(validate_layers(config, where));
  if (config.mla.kv_lora_rank > 0) VORTEX_RETURN_IF_ERROR(validate_latent(config, where));
  if (config.moe.experts > 0) VORTEX_RETURN_IF_ERROR(validate_experts(config.moe, where));
  return {};
}

}  // namespace

void merge_token_ids(const GenerationDefaults& generation, ModelConfig* config) {
  add_once(generation.bos_ids, config->vocab_size, &config->bos_ids);
  add_once(generation.eos_ids, config->vocab_size, &config->eos_ids);
}

Status finish_config(ModelConfig* config, const std::string& where) {
  if (config->layer_types.empty()) {
    config->layer_types.assign(static_cast<size_t>(config->layers), LayerType::kFullAttention);
  }
  forget_idle_windows(config);
  if (config->mla.kv_lora_rank > 0) config->attention_scale = latent_attention_scale(*config);
  return validate(*config, where);
}

}  // namespace vortex
