// config.json and generation_config.json, as Hugging Face transformers 4 and 5 write them.
#include <algorithm>
#include <cmath>

#include "loader/config_fields.h"
#include "loader/config_limits.h"
#include "loader/errors.h"
#include "loader/json.h"
#include "loader/model_config.h"

namespace vortex {
namespace {

using nlohmann::json;

enum class Family : uint8_t { kLlama, kMistral, kQwen2, kQwen3 };

struct Architecture {
  std::string_view name;
  std::string_view model_type;
  Family family;
};
constexpr Architecture kArchitectures[] = {
    {"LlamaForCausalLM", "llama", Family::kLlama},
    {"MistralForCausalLM", "mistral", Family::kMistral},
    {"Qwen2ForCausalLM", "qwen2", Family::kQwen2},
    {"Qwen3ForCausalLM", "qwen3", Family::kQwen3},
};

/// Fields that change the maths in some model and that these families do not have. Harmless when null, false, empty
/// or the neutral number.
struct ForeignField {
  std::string_view key;
  double neutral;
};
constexpr ForeignField kForeignFields[] = {
    {"attn_logit_softcapping", 0},
    {"final_logit_softcapping", 0},
    {"query_pre_attn_scalar", 0},
    {"attention_multiplier", 1},
    {"embedding_multiplier", 1},
    {"residual_multiplier", 1},
    {"logits_scaling", 1},
    {"logit_scale", 1},
    {"clip_qkv", 0},
    {"attention_chunk_size", 0},
    {"attn_temperature_tuning", 0},
    {"use_bidirectional_attention", 0},
    {"no_rope_layers", 0},
    {"num_experts", 0},
    {"num_local_experts", 0},
    {"n_routed_experts", 0},
    {"kv_lora_rank", 0},
    {"quantization_config", 0},
    {"use_qk_norm", 0},
    {"qk_layernorm", 0},
    {"alibi", 0},
};

FieldValue scalar(const json& object, std::string_view key) {
  const auto it = object.find(std::string(key));
  if (it == object.end() || it->is_null()) return std::monostate{};
  if (it->is_boolean()) return it->get<bool>();
  if (it->is_number_unsigned() && it->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) return it->get<double>();
  if (it->is_number_integer()) return it->get<int64_t>();
  if (it->is_number()) return it->get<double>();
  if (it->is_string()) return it->get<std::string>();
  return NotScalar{};
}

ConfigFields fields_of(const json& object, const std::string& where, std::string prefix = {}) {
  return ConfigFields([&object](std::string_view key) { return scalar(object, key); }, where, std::move(prefix));
}

bool is_neutral(const json& value, double neutral) {
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_number()) return value.get<double>() == neutral;
  return value.is_null() || value.empty();
}

Status refuse_foreign_fields(const json& config, const std::string& where) {
  for (const ForeignField& field : kForeignFields) {
    const auto it = config.find(std::string(field.key));
    if (it == config.end() || is_neutral(*it, field.neutral)) continue;
    return unsupported(where,
                       fmt::format("{} changes the model in a way this architecture is not run with", field.key));
  }
  return {};
}

/// The name in "architectures", or the model_type of a file without it.
std::string architecture_name(const json& config) {
  const auto it = config.find("architectures");
  if (it != config.end() && it->is_array() && !it->empty() && it->front().is_string()) return it->front();
  const FieldValue type = scalar(config, "model_type");
  const auto* text = std::get_if<std::string>(&type);
  return text ? *text : std::string();
}

Result<Architecture> find_architecture(const json& config, const std::string& where) {
  const std::string name = architecture_name(config);
  for (const Architecture& known : kArchitectures) {
    if (name == known.name || name == known.model_type) return known;
  }
  return unsupported(where, fmt::format("unknown architecture {}", quote_name(name)),
                     "supported: " + supported_architectures());
}

Status refuse_activation(ConfigFields& fields) {
  const std::string activation = fields.text("hidden_act").value_or("silu");
  if (activation == "silu") return {};
  return unsupported(fields.where(), fmt::format("unknown hidden_act {}", quote_name(activation)), "supported: silu");
}

void read_sizes(ConfigFields& fields, Family family, ModelConfig* out) {
  out->vocab_size = fields.required_integer("vocab_size", 1, limits::kVocab);
  out->hidden_size = fields.required_integer("hidden_size", 1, limits::kHidden);
  out->intermediate_size = fields.required_integer("intermediate_size", 1, limits::kIntermediate);
  out->layers = fields.required_integer("num_hidden_layers", 1, limits::kLayers);
  out->heads = fields.required_integer("num_attention_heads", 1, limits::kHeads);
  out->kv_heads = fields.integer("num_key_value_heads", 1, limits::kHeads).value_or(out->heads);
  // transformers' own defaults, for files that leave them out.
  const int usual_dim = family == Family::kQwen3 ? 128 : std::max(out->hidden_size / out->heads, 1);
  const int usual_positions = family == Family::kLlama ? 2048 : family == Family::kMistral ? 131072 : 32768;
  out->head_dim = fields.integer("head_dim", 1, limits::kHeadDim).value_or(usual_dim);
  out->max_position_embeddings =
      fields.integer("max_position_embeddings", 1, limits::kPositions).value_or(usual_positions);
  out->rms_norm_eps = static_cast<float>(fields.number("rms_norm_eps", 0, 1).value_or(1e-6));
  out->tie_word_embeddings = fields.boolean("tie_word_embeddings").value_or(false);
}

void read_biases(ConfigFields& fields, Family family, ModelConfig* out) {
  const bool attention_bias = fields.boolean("attention_bias").value_or(false);
  switch (family) {
    case Family::kLlama:
      out->qkv_bias = out->o_bias = attention_bias;
      out->mlp_bias = fields.boolean("mlp_bias").value_or(false);
      return;
    case Family::kMistral:
      return;
    case Family::kQwen2:
      out->qkv_bias = true;
      return;
    case Family::kQwen3:
      out->qkv_bias = out->o_bias = attention_bias;
      out->qk_norm = QkNorm::kHead;
      return;
  }
}

Status read_dtype(ConfigFields& fields, ModelConfig* out) {
  auto name = fields.text("dtype");
  if (!name) name = fields.text("torch_dtype");
  if (!name) return {};
  const auto dtype = parse_dtype(*name);
  if (!dtype) return unsupported(fields.where(), fmt::format("unknown dtype {}", quote_name(*name)));
  out->stored_dtype = *dtype;
  return {};
}

Result<LayerType> layer_type(const json& name, const std::string& where) {
  if (name == "full_attention") return LayerType::kFullAttention;
  if (name == "sliding_attention") return LayerType::kSlidingAttention;
  const std::string spelled = name.is_string() ? name.get<std::string>() : "that is no text";
  return unsupported(where, fmt::format("unknown layer type {}", quote_name(spelled)), "supported: full_attention");
}

/// From layer_types, or as transformers fills them in: mistral slides everywhere, qwen from max_window_layers on.
Status read_layer_types(const json& config, ConfigFields& fields, Family family, ModelConfig* out) {
  const bool is_qwen = family == Family::kQwen2 || family == Family::kQwen3;
  const bool uses_window = family == Family::kMistral || fields.boolean("use_sliding_window").value_or(!is_qwen);
  const int window = fields.integer("sliding_window", 0, limits::kPositions).value_or(0);
  out->sliding_window = uses_window ? window : 0;

  const auto it = config.find("layer_types");
  if (it != config.end() && it->is_array()) {
    for (const json& name : *it) {
      VORTEX_ASSIGN_OR_RETURN(const LayerType type, layer_type(name, fields.where()));
      out->layer_types.push_back(type);
    }
    return {};
  }
  const int full_layers = is_qwen ? fields.integer("max_window_layers", 0, limits::kPositions).value_or(28) : 0;
  for (int i = 0; i < out->layers; ++i) {
    const bool slides = out->sliding_window > 0 && i >= full_layers;
    out->layer_types.push_back(slides ? LayerType::kSlidingAttention : LayerType::kFullAttention);
  }
  return {};
}

Result<RopeConfig::Variant> rope_variant(ConfigFields& rope) {
  using Variant = RopeConfig::Variant;
  auto name = rope.text("rope_type");
  if (!name) name = rope.text("type");
  if (!name || *name == "default") return Variant::kDefault;
  if (*name == "linear") return Variant::kLinear;
  if (*name == "llama3") return Variant::kLlama3;
  if (*name == "yarn") return Variant::kYarn;
  return unsupported(rope.where(), fmt::format("unknown rope_type {}", quote_name(*name)),
                     "supported: default, linear, llama3, yarn");
}

void read_yarn(ConfigFields& rope, const ModelConfig& config, RopeConfig* out) {
  const double stretched = static_cast<double>(config.max_position_embeddings) / out->original_max_position;
  out->factor = rope.number("factor", 1e-6, limits::kRopeFactor).value_or(stretched);
  out->beta_fast = rope.number("beta_fast", 1e-3, 1e6).value_or(32.0);
  out->beta_slow = rope.number("beta_slow", 1e-3, 1e6).value_or(1.0);
  out->attention_factor = rope.number("attention_factor", 0, 1e6);
  out->mscale = rope.number("mscale", 0, 1e6);
  out->mscale_all_dim = rope.number("mscale_all_dim", 0, 1e6);
  out->truncate = rope.boolean("truncate").value_or(true);
}

void read_llama3(ConfigFields& rope, RopeConfig* out) {
  out->factor = rope.required_number("factor", 1e-6, limits::kRopeFactor);
  out->low_freq_factor = rope.required_number("low_freq_factor", 1e-6, 1e6);
  out->high_freq_factor = rope.required_number("high_freq_factor", 1e-6, 1e6);
  if (out->high_freq_factor <= out->low_freq_factor) {
    rope.fail(Error{ErrorCode::kDataLoss, rope.where(), "high_freq_factor is not above low_freq_factor", {}});
  }
}

/// The numbers that stand beside the scaling in old files, and within it in new ones.
void read_rope_base(ConfigFields& fields, ConfigFields& rope, const ModelConfig& config, RopeConfig* out) {
  const auto either = [&](std::string_view key, double lowest, double highest) {
    const auto inner = rope.number(key, lowest, highest);
    return inner ? inner : fields.number(key, lowest, highest);
  };
  out->theta = either("rope_theta", 1.000001, limits::kRopeTheta).value_or(10000.0);
  const double partial = either("partial_rotary_factor", 0, 1).value_or(1.0);
  out->rotary_dim = static_cast<int>(config.head_dim * partial);
  const auto original = either("original_max_position_embeddings", 1, limits::kPositions);
  out->original_max_position = static_cast<int>(original.value_or(config.max_position_embeddings));
}

Status read_rope(const json& config, ConfigFields& fields, ModelConfig* out) {
  static const json kNone = json::object();
  const json* scaling = &kNone;
  std::string_view key = "rope_parameters";
  for (std::string_view candidate : {"rope_parameters", "rope_scaling"}) {  // the older wins, as in transformers
    const auto it = config.find(std::string(candidate));
    if (it == config.end() || it->is_null() || it->empty()) continue;
    if (!it->is_object()) return data_loss(fields.where(), fmt::format("{} is no object", candidate));
    scaling = &*it;
    key = candidate;
  }
  for (const auto& [name, value] : scaling->items()) {
    if (!value.is_object()) continue;
    return unsupported(fields.where(), fmt::format("{} differs by layer type ({})", key, quote_name(name)));
  }
  ConfigFields rope = fields_of(*scaling, fields.where(), std::string(key) + ".");
  VORTEX_ASSIGN_OR_RETURN(out->rope.variant, rope_variant(rope));
  read_rope_base(fields, rope, *out, &out->rope);
  switch (out->rope.variant) {
    case RopeConfig::Variant::kDefault:
      break;
    case RopeConfig::Variant::kLinear:
      out->rope.factor = rope.required_number("factor", 1e-6, limits::kRopeFactor);
      break;
    case RopeConfig::Variant::kLlama3:
      read_llama3(rope, &out->rope);
      break;
    case RopeConfig::Variant::kYarn:
      read_yarn(rope, *out, &out->rope);
      break;
  }
  return rope.status();
}

/// One id, a list of ids, or null. Ids below zero mean none in some files.
Result<std::vector<int>> token_ids(const json& object, const char* key, const std::string& where) {
  std::vector<int> ids;
  const auto it = object.find(key);
  if (it == object.end() || it->is_null()) return ids;
  const json list = it->is_array() ? *it : json::array({*it});
  for (const json& id : list) {
    if (!id.is_number_integer()) return data_loss(where, fmt::format("{} is no token id", key));
    if (id.is_number_unsigned() && id.get<uint64_t>() > limits::kVocab) continue;
    if (id.get<int64_t>() >= 0) ids.push_back(id.get<int>());
  }
  return ids;
}

Result<json> parse_object(std::string_view text, const std::string& where) {
  VORTEX_ASSIGN_OR_RETURN(json value, parse_json(text, where));
  if (!value.is_object()) return data_loss(where, "is no JSON object");
  return value;
}

}  // namespace

Result<ModelConfig> parse_hf_config(std::string_view text, const std::string& where) {
  VORTEX_ASSIGN_OR_RETURN(const json config, parse_object(text, where));
  VORTEX_ASSIGN_OR_RETURN(const Architecture architecture, find_architecture(config, where));
  VORTEX_RETURN_IF_ERROR(refuse_foreign_fields(config, where));
  ConfigFields fields = fields_of(config, where);
  VORTEX_RETURN_IF_ERROR(refuse_activation(fields));

  ModelConfig out;
  out.architecture = architecture.name;
  read_sizes(fields, architecture.family, &out);
  read_biases(fields, architecture.family, &out);
  VORTEX_RETURN_IF_ERROR(fields.status());
  VORTEX_RETURN_IF_ERROR(read_dtype(fields, &out));
  VORTEX_RETURN_IF_ERROR(read_layer_types(config, fields, architecture.family, &out));
  VORTEX_RETURN_IF_ERROR(read_rope(config, fields, &out));
  VORTEX_RETURN_IF_ERROR(fields.status());
  GenerationDefaults ids;
  VORTEX_ASSIGN_OR_RETURN(ids.bos_ids, token_ids(config, "bos_token_id", where));
  VORTEX_ASSIGN_OR_RETURN(ids.eos_ids, token_ids(config, "eos_token_id", where));
  merge_token_ids(ids, &out);
  VORTEX_RETURN_IF_ERROR(validate_config(out, where));
  return out;
}

Result<GenerationDefaults> parse_generation_config(std::string_view text, const std::string& where) {
  VORTEX_ASSIGN_OR_RETURN(const json config, parse_object(text, where));
  ConfigFields fields = fields_of(config, where);
  GenerationDefaults out;
  out.do_sample = fields.boolean("do_sample");
  out.temperature = fields.number("temperature", 0, 100);
  out.top_p = fields.number("top_p", 0, 1);
  out.min_p = fields.number("min_p", 0, 1);
  out.repetition_penalty = fields.number("repetition_penalty", 1e-3, 1e3);
  out.top_k = fields.integer("top_k", -1, limits::kVocab);
  VORTEX_RETURN_IF_ERROR(fields.status());
  VORTEX_ASSIGN_OR_RETURN(out.bos_ids, token_ids(config, "bos_token_id", where));
  VORTEX_ASSIGN_OR_RETURN(out.eos_ids, token_ids(config, "eos_token_id", where));
  return out;
}

}  // namespace vortex
