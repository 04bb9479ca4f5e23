#include "loader/model_config.h"

#include <algorithm>

#include "loader/config_limits.h"
#include "loader/errors.h"

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

Status validate_heads(const ModelConfig& config, const std::string& where) {
  if (config.heads % config.kv_heads != 0) {
    return impossible(where, fmt::format("{} heads are no multiple of {} kv heads", config.heads, config.kv_heads));
  }
  if (int64_t{config.heads} * config.head_dim > limits::kHidden) {
    return impossible(where, fmt::format("{} heads of {} are too wide", config.heads, config.head_dim));
  }
  const int rotary = config.rope.rotary_dim;
  if (rotary < 2 || rotary % 2 != 0 || rotary > config.head_dim) {
    return impossible(where, fmt::format("rotates {} of {} dimensions of a head", rotary, config.head_dim));
  }
  return {};
}

/// A window as long as the context never hides a token, so it may be there.
Status refuse_sliding_window(const ModelConfig& config, const std::string& where) {
  const auto slides = [](LayerType type) { return type == LayerType::kSlidingAttention; };
  const bool any = std::any_of(config.layer_types.begin(), config.layer_types.end(), slides);
  if (!any || config.sliding_window == 0 || config.sliding_window >= config.max_position_embeddings) return {};
  return unsupported(where,
                     fmt::format("uses a sliding window of {} tokens in a context of {}", config.sliding_window,
                                 config.max_position_embeddings),
                     "models with full attention in every layer can be run");
}

}  // namespace

std::string supported_architectures() {
  return "LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM; in GGUF llama, qwen2, qwen3";
}

void merge_token_ids(const GenerationDefaults& generation, ModelConfig* config) {
  add_once(generation.bos_ids, config->vocab_size, &config->bos_ids);
  add_once(generation.eos_ids, config->vocab_size, &config->eos_ids);
}

Status validate_config(const ModelConfig& config, const std::string& where) {
  VORTEX_RETURN_IF_ERROR(validate_heads(config, where));
  if (config.layer_types.size() != static_cast<size_t>(config.layers)) {
    return impossible(where,
                      fmt::format("layer_types names {} of {} layers", config.layer_types.size(), config.layers));
  }
  return refuse_sliding_window(config, where);
}

}  // namespace vortex
