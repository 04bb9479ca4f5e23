// ModelConfig from GGUF metadata. Biases, head norms, tied output and rope factors show as tensors only.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "loader/config_fields.h"
#include "loader/config_limits.h"
#include "loader/errors.h"
#include "loader/families/family.h"
#include "loader/gguf.h"
#include "loader/model_config.h"

namespace vortex {
namespace {

/// Metadata that changes the maths in some model and that only families which honour it may have, with the value that
/// is harmless.
struct GuardedField {
  std::string_view key;
  double neutral;
};
constexpr GuardedField kGuardedFields[] = {
    {"expert_count", 0},
    {"expert_shared_count", 0},
    {"expert_group_scale", 0},
    {"attn_logit_softcapping", 0},
    {"final_logit_softcapping", 0},
    {"logit_scale", 1},
    {"residual_scale", 1},
    {"embedding_scale", 1},
    {"attention.scale", 0},
    {"attention.clamp_kqv", 0},
    {"attention.max_alibi_bias", 0},
    {"attention.kv_lora_rank", 0},
    {"rope.scaling.yarn_log_multiplier", 0},
};

FieldValue scalar(const GgufFile& file, const std::string& key) {
  const GgufValue* value = file.find(key);
  if (!value) return std::monostate{};
  if (const auto* flag = std::get_if<bool>(value)) return *flag;
  if (const auto* whole = std::get_if<int64_t>(value)) return *whole;
  if (const auto* real = std::get_if<double>(value)) return *real;
  if (const auto* text = std::get_if<std::string_view>(value)) return std::string(*text);
  const auto& items = std::get<GgufArray>(*value).items;
  if (const auto* numbers = std::get_if<std::vector<int64_t>>(&items)) return *numbers;
  return OtherList{};
}

ConfigFields fields_of(const GgufFile& file, std::string prefix) {
  const auto source = [&file, prefix](std::string_view key) { return scalar(file, prefix + std::string(key)); };
  return ConfigFields(source, file.path(), prefix);
}

Result<const Family*> find_family(const GgufFile& file) {
  const std::string_view name = file.string("general.architecture").value_or("");
  if (const Family* family = find_gguf_family(name)) return family;
  return unsupported(file.path(), fmt::format("unknown architecture {}", quote_name(name)),
                     "supported: " + supported_architectures());
}

void refuse_guarded_fields(ConfigFields& fields, const GgufForm& form) {
  for (const GuardedField& field : kGuardedFields) {
    if (std::find(form.honours.begin(), form.honours.end(), field.key) != form.honours.end()) continue;
    const auto value = fields.number(field.key, -INFINITY, INFINITY);
    if (!value || *value == field.neutral) continue;
    fields.fail(unsupported(
        fields.where(),
        fmt::format("{} changes the model in a way this architecture is not run with", fields.full_name(field.key))));
  }
}

/// Rows of the embedding: the one size every file has.
int vocab_size(const GgufFile& file, ConfigFields& fields) {
  const NamedTensor* embedding = file.find_tensor("token_embd.weight");
  if (embedding && embedding->view.rows() <= limits::kVocab) return static_cast<int>(embedding->view.rows());
  return fields.required_integer("vocab_size", 1, limits::kVocab);
}

void read_sizes(const GgufFile& file, ConfigFields& fields, ModelConfig* out) {
  out->vocab_size = vocab_size(file, fields);
  out->hidden_size = fields.required_integer("embedding_length", 1, limits::kHidden);
  out->intermediate_size = fields.required_integer("feed_forward_length", 1, limits::kIntermediate);
  out->layers = fields.required_integer("block_count", 1, limits::kLayers);
  out->heads = fields.required_integer("attention.head_count", 1, limits::kHeads);
  out->kv_heads = fields.integer("attention.head_count_kv", 1, limits::kHeads).value_or(out->heads);
  out->head_dim =
      fields.integer("attention.key_length", 1, limits::kHeadDim).value_or(std::max(out->hidden_size / out->heads, 1));
  out->max_position_embeddings = fields.required_integer("context_length", 1, limits::kPositions);
  out->rms_norm_eps = static_cast<float>(fields.required_number("attention.layer_norm_rms_epsilon", 0, 1));
  out->sliding_window = fields.integer("attention.sliding_window", 0, limits::kPositions).value_or(0);
  out->layer_types.assign(static_cast<size_t>(out->layers),
                          out->sliding_window > 0 ? LayerType::kSlidingAttention : LayerType::kFullAttention);
}

/// Of latent heads, keys and values may differ.
void check_value_length(ConfigFields& fields, const ModelConfig& config) {
  const int value_dim = fields.integer("attention.value_length", 1, limits::kHeadDim).value_or(config.head_dim);
  if (config.latent() || value_dim == config.head_dim) return;
  fields.fail(
      unsupported(fields.where(), fmt::format("keys of {} and values of {} dimensions", config.head_dim, value_dim)));
}

void read_tensor_facts(const GgufFile& file, ModelConfig* out) {
  const auto has = [&](std::string_view name) { return file.find_tensor(name) != nullptr; };
  out->qkv_bias = has("blk.0.attn_q.bias");
  out->o_bias = has("blk.0.attn_output.bias");
  out->mlp_bias = has("blk.0.ffn_down.bias");
  out->qk_norm = has("blk.0.attn_q_norm.weight") ? QkNorm::kHead : QkNorm::kNone;
  out->tie_word_embeddings = !has("output.weight");
  const NamedTensor* matrix = file.find_tensor("blk.0.ffn_up.weight");
  if (!matrix) matrix = file.find_tensor("blk.0.ffn_up_exps.weight");
  if (matrix) out->stored_dtype = matrix->view.dtype;
}

Result<RopeConfig::Variant> rope_variant(ConfigFields& fields) {
  using Variant = RopeConfig::Variant;
  const std::string name = fields.text("rope.scaling.type").value_or("none");
  if (name == "none") return Variant::kDefault;
  if (name == "linear") return Variant::kLinear;
  if (name == "yarn") return Variant::kYarn;
  return unsupported(fields.where(), fmt::format("unknown rope.scaling.type {}", quote_name(name)),
                     "supported: none, linear, yarn");
}

/// attn_factor multiplies what yarn computes by itself; HF's attention_factor replaces it.
void read_yarn(ConfigFields& fields, RopeConfig* out) {
  out->beta_fast = fields.number("rope.scaling.yarn_beta_fast", 1e-3, 1e6).value_or(32.0);
  out->beta_slow = fields.number("rope.scaling.yarn_beta_slow", 1e-3, 1e6).value_or(1.0);
  const auto factor = fields.number("rope.scaling.attn_factor", 0, 1e6);
  if (factor && *factor != 1.0) out->attention_factor = *factor * (1.0 + 0.1 * std::log(out->factor));
  for (std::string_view key : {"rope.scaling.yarn_ext_factor", "rope.scaling.yarn_attn_factor"}) {
    const auto value = fields.number(key, -1e6, 1e6);
    if (value && *value != 1.0) fields.fail(unsupported(fields.where(), fmt::format("{} is {}", key, *value)));
  }
}

/// rope_freqs.weight: what llama 3's scaling divides each frequency by.
Status read_frequency_divisors(const GgufFile& file, RopeConfig* out) {
  const NamedTensor* tensor = file.find_tensor("rope_freqs.weight");
  if (!tensor) return {};
  const TensorView& view = tensor->view;
  if (view.dtype != DType::kF32 || view.shape != Shape{out->rotary_dim / 2}) {
    return data_loss(file.path(),
                     fmt::format("rope_freqs.weight is {} {}, float32 [{}] expected", dtype_info(view.dtype).name,
                                 view.shape.to_string(), out->rotary_dim / 2));
  }
  out->frequency_divisors.resize(static_cast<size_t>(out->rotary_dim / 2));
  std::memcpy(out->frequency_divisors.data(), view.data, static_cast<size_t>(view.bytes()));
  for (float divisor : out->frequency_divisors) {
    if (!(divisor > 0.0f && std::isfinite(divisor))) {
      return data_loss(file.path(), fmt::format("rope_freqs.weight holds {}", divisor));
    }
  }
  return {};
}

Status read_rope(ConfigFields& fields, ModelConfig* out) {
  RopeConfig& rope = out->rope;
  rope.theta = fields.number("rope.freq_base", 1.000001, limits::kRopeTheta).value_or(10000.0);
  rope.rotary_dim = fields.integer("rope.dimension_count", 2, limits::kHeadDim).value_or(out->head_dim);
  VORTEX_ASSIGN_OR_RETURN(rope.variant, rope_variant(fields));
  const auto old_factor = fields.number("rope.scale_linear", 1e-6, limits::kRopeFactor);
  if (old_factor && *old_factor != 1.0 && rope.variant == RopeConfig::Variant::kDefault) {
    rope.variant = RopeConfig::Variant::kLinear;
  }
  if (rope.variant == RopeConfig::Variant::kDefault) return fields.status();
  rope.factor = fields.number("rope.scaling.factor", 1e-6, limits::kRopeFactor).value_or(old_factor.value_or(1.0));
  rope.original_max_position = fields.integer("rope.scaling.original_context_length", 1, limits::kPositions)
                                   .value_or(out->max_position_embeddings);
  if (rope.variant == RopeConfig::Variant::kYarn) read_yarn(fields, &rope);
  return fields.status();
}

Result<std::vector<int>> token_ids(const GgufFile& file, std::initializer_list<std::string_view> keys) {
  ConfigFields fields = fields_of(file, "tokenizer.ggml.");
  std::vector<int> ids;
  for (std::string_view key : keys) {
    const auto id = fields.number(key, 0, UINT32_MAX);  // 2^32 - 1 means none
    if (id && *id < limits::kVocab) ids.push_back(static_cast<int>(*id));
  }
  VORTEX_RETURN_IF_ERROR(fields.status());
  return ids;
}

}  // namespace

Result<ModelConfig> read_gguf_config(const GgufFile& file) {
  VORTEX_ASSIGN_OR_RETURN(const Family* family, find_family(file));
  const GgufForm& form = family->gguf;
  ConfigFields fields = fields_of(file, std::string(form.name) + ".");
  refuse_guarded_fields(fields, form);

  ModelConfig out;
  out.architecture = form.name;
  read_sizes(file, fields, &out);
  VORTEX_RETURN_IF_ERROR(fields.status());
  read_tensor_facts(file, &out);
  VORTEX_RETURN_IF_ERROR(read_rope(fields, &out));
  out.rope.interleaved = form.interleaved_rope;
  if (form.read) form.read(file, fields, &out);
  check_value_length(fields, out);
  VORTEX_RETURN_IF_ERROR(fields.status());
  VORTEX_RETURN_IF_ERROR(read_frequency_divisors(file, &out.rope));
  GenerationDefaults ids;
  VORTEX_ASSIGN_OR_RETURN(ids.bos_ids, token_ids(file, {"bos_token_id"}));
  VORTEX_ASSIGN_OR_RETURN(ids.eos_ids, token_ids(file, {"eos_token_id", "eot_token_id", "eom_token_id"}));
  merge_token_ids(ids, &out);
  VORTEX_RETURN_IF_ERROR(finish_config(&out, file.path()));
  return out;
}

}  // namespace vortex
