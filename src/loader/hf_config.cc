// config.json and generation_config.json, as Hugging Face transformers 4 and 5 write them: what all families share.
#include <algorithm>

#include "loader/config_fields.h"
#include "loader/config_limits.h"
#include "loader/errors.h"
#include "loader/families/family.h"
#include "loader/hf_fields.h"
#include "loader/hf_rope.h"
#include "loader/json.h"
#include "loader/model_config.h"

namespace vortex {
namespace {

using nlohmann::json;

/// Fields that change the maths in some model and that only families which honour them may have. Harmless when null,
/// false, empty or the neutral number.
struct GuardedField {
  std::string_view key;
  double neutral;
};
constexpr GuardedField kGuardedFields[] = {
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
    {"n_shared_experts", 0},
    {"shared_intermediate_size", 0},
    {"swiglu_limit", 0},
    {"kv_lora_rank", 0},
    {"index_topk", 0},
    {"quantization_config", 0},
    {"use_qk_norm", 0},
    {"qk_layernorm", 0},
    {"attn_type_list", 0},
    {"alibi", 0},
    {"sliding_window", 0},
    {"rope_local_base_freq", 0},
    {"rope_interleave", 0},
    {"rotary_dim", 0},
};

bool is_neutral(const FieldValue& value, double neutral) {
  if (const auto* flag = std::get_if<bool>(&value)) return !*flag;
  if (const auto* whole = std::get_if<int64_t>(&value)) return static_cast<double>(*whole) == neutral;
  if (const auto* real = std::get_if<double>(&value)) return *real == neutral;
  if (const auto* list = std::get_if<std::vector<int64_t>>(&value)) return list->empty();
  if (const auto* object = std::get_if<FieldObject>(&value)) return object->names.empty();
  return std::holds_alternative<std::monostate>(value);
}

Status refuse_guarded_fields(const ConfigFields& fields, const HfForm& form) {
  for (const GuardedField& field : kGuardedFields) {
    const bool honoured = std::find(form.honours.begin(), form.honours.end(), field.key) != form.honours.end();
    if (honoured || is_neutral(fields.raw(field.key), field.neutral)) continue;
    return unsupported(fields.where(),
                       fmt::format("{} changes the model in a way this architecture is not run with", field.key));
  }
  return {};
}

/// The name in "architectures", or the model_type of a file without it.
std::string architecture_name(ConfigFields& fields) {
  const FieldValue listed = fields.raw("architectures");
  const auto* names = std::get_if<std::vector<std::string>>(&listed);
  if (names && !names->empty()) return names->front();
  const FieldValue type = fields.raw("model_type");
  const auto* text = std::get_if<std::string>(&type);
  return text ? *text : std::string();
}

Result<const Family*> find_family(ConfigFields& fields) {
  const std::string name = architecture_name(fields);
  if (const Family* family = find_hf_family(name)) return family;
  return unsupported(fields.where(), fmt::format("unknown architecture {}", quote_name(name)),
                     "supported: " + supported_architectures());
}

Status read_activation(ConfigFields& fields, const HfDefaults& defaults, ModelConfig* out) {
  const std::string_view key = fields.has("hidden_activation") ? "hidden_activation" : "hidden_act";
  const auto name = fields.text(key);
  out->activation = defaults.activation;
  if (!name) return fields.status();
  if (*name == "silu") {
    out->activation = Activation::kSilu;
  } else if (*name == "gelu_pytorch_tanh") {
    out->activation = Activation::kGeluTanh;
  } else {
    return unsupported(fields.where(), fmt::format("unknown {} {}", key, quote_name(*name)),
                       "supported: silu, gelu_pytorch_tanh");
  }
  return {};
}

void read_sizes(ConfigFields& fields, const HfDefaults& defaults, ModelConfig* out) {
  out->vocab_size = fields.required_integer("vocab_size", 1, limits::kVocab);
  out->hidden_size = fields.required_integer("hidden_size", 1, limits::kHidden);
  out->intermediate_size = fields.required_integer("intermediate_size", 1, limits::kIntermediate);
  out->layers = fields.required_integer("num_hidden_layers", 1, limits::kLayers);
  out->heads = fields.required_integer("num_attention_heads", 1, limits::kHeads);
  out->kv_heads = fields.integer("num_key_value_heads", 1, limits::kHeads).value_or(out->heads);
  const int usual_dim = defaults.head_dim > 0 ? defaults.head_dim : std::max(out->hidden_size / out->heads, 1);
  out->head_dim = fields.integer("head_dim", 1, limits::kHeadDim).value_or(usual_dim);
  out->max_position_embeddings =
      fields.integer("max_position_embeddings", 1, limits::kPositions).value_or(defaults.max_positions);
  out->rms_norm_eps = static_cast<float>(fields.number("rms_norm_eps", 0, 1).value_or(1e-6));
  out->tie_word_embeddings = fields.boolean("tie_word_embeddings").value_or(defaults.tied_head);
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

Result<LayerType> layer_type(const std::string& name, const std::string& where) {
  if (name == "full_attention") return LayerType::kFullAttention;
  if (name == "sliding_attention") return LayerType::kSlidingAttention;
  return unsupported(where, fmt::format("unknown layer type {}", quote_name(name)),
                     "supported: full_attention, sliding_attention");
}

Status read_layer_types(ConfigFields& fields, ModelConfig* out) {
  const auto names = fields.texts("layer_types");
  VORTEX_RETURN_IF_ERROR(fields.status());
  if (!names) return {};
  for (const std::string& name : *names) {
    VORTEX_ASSIGN_OR_RETURN(const LayerType type, layer_type(name, fields.where()));
    out->layer_types.push_back(type);
  }
  return {};
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
  ConfigFields fields = hf_fields(config, where);
  VORTEX_ASSIGN_OR_RETURN(const Family* family, find_family(fields));
  const HfForm& form = family->hf;
  VORTEX_RETURN_IF_ERROR(refuse_guarded_fields(fields, form));

  ModelConfig out;
  out.architecture = form.names.front().architecture;
  read_sizes(fields, form.defaults, &out);
  VORTEX_RETURN_IF_ERROR(fields.status());
  VORTEX_RETURN_IF_ERROR(read_activation(fields, form.defaults, &out));
  VORTEX_RETURN_IF_ERROR(read_dtype(fields, &out));
  VORTEX_RETURN_IF_ERROR(read_layer_types(fields, &out));
  form.read(fields, &out);
  VORTEX_RETURN_IF_ERROR(fields.status());
  VORTEX_RETURN_IF_ERROR(read_hf_rope(fields, form.defaults, &out));
  VORTEX_RETURN_IF_ERROR(fields.status());
  GenerationDefaults ids;
  VORTEX_ASSIGN_OR_RETURN(ids.bos_ids, token_ids(config, "bos_token_id", where));
  VORTEX_ASSIGN_OR_RETURN(ids.eos_ids, token_ids(config, "eos_token_id", where));
  merge_token_ids(ids, &out);
  VORTEX_RETURN_IF_ERROR(finish_config(&out, where));
  return out;
}

Result<GenerationDefaults> parse_generation_config(std::string_view text, const std::string& where) {
  VORTEX_ASSIGN_OR_RETURN(const json config, parse_object(text, where));
  ConfigFields fields = hf_fields(config, where);
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
