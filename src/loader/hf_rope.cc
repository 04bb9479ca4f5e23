#include "loader/hf_rope.h"

#include <algorithm>

#include "loader/config_limits.h"
#include "loader/errors.h"

namespace vortex {
namespace {

using Variant = RopeConfig::Variant;

constexpr std::string_view kFull = "full_attention";
constexpr std::string_view kSliding = "sliding_attention";

/// Where the parameters stand, and what the old form keeps beside them.
struct RopeSource {
  ConfigFields scaling;
  double usual_theta;
  std::string_view theta_key = "rope_theta";
};

Result<Variant> rope_variant(ConfigFields& rope) {
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
void read_base(ConfigFields& fields, RopeSource& source, const HfDefaults& defaults, const ModelConfig& config,
               RopeConfig* out) {
  const auto either = [&](std::string_view key, std::string_view outer_key, double lowest, double highest) {
    const auto inner = source.scaling.number(key, lowest, highest);
    return inner ? inner : fields.number(outer_key, lowest, highest);
  };
  out->theta = either("rope_theta", source.theta_key, 1.000001, limits::kRopeTheta).value_or(source.usual_theta);
  const double partial =
      either("partial_rotary_factor", "partial_rotary_factor", 0, 1).value_or(defaults.partial_rotary);
  const int rotated = config.mla.kv_lora_rank > 0 ? config.mla.qk_rope_head_dim : config.head_dim;
  if (out->rotary_dim == 0) out->rotary_dim = static_cast<int>(rotated * partial);
  constexpr std::string_view kOriginal = "original_max_position_embeddings";
  const auto original = either(kOriginal, kOriginal, 1, limits::kPositions);
  out->original_max_position = static_cast<int>(original.value_or(config.max_position_embeddings));
}

Status read_rope(ConfigFields& fields, RopeSource source, const HfDefaults& defaults, const ModelConfig& config,
                 RopeConfig* out) {
  VORTEX_ASSIGN_OR_RETURN(out->variant, rope_variant(source.scaling));
  read_base(fields, source, defaults, config, out);
  switch (out->variant) {
    case Variant::kDefault:
      break;
    case Variant::kLinear:
      out->factor = source.scaling.required_number("factor", 1e-6, limits::kRopeFactor);
      break;
    case Variant::kLlama3:
      read_llama3(source.scaling, out);
      break;
    case Variant::kYarn:
      read_yarn(source.scaling, config, out);
      break;
  }
  return source.scaling.status();
}

/// rope_scaling or rope_parameters, whichever is there; the older wins, as in transformers.
Result<std::string_view> scaling_key(ConfigFields& fields) {
  for (std::string_view key : {"rope_scaling", "rope_parameters"}) {
    const FieldValue value = fields.raw(key);
    if (std::holds_alternative<std::monostate>(value)) continue;
    const auto* object = std::get_if<FieldObject>(&value);
    if (!object) return data_loss(fields.where(), fmt::format("{} is no object", key));
    if (!object->names.empty()) return key;
  }
  return std::string_view("rope_parameters");
}

/// Names of the objects within the scaling: the layer types, in the new form of models that tell them apart.
std::vector<std::string> inner_objects(ConfigFields& scaling, const FieldValue& value) {
  std::vector<std::string> found;
  const auto* object = std::get_if<FieldObject>(&value);
  if (!object) return found;
  std::copy_if(object->names.begin(), object->names.end(), std::back_inserter(found),
               [&](const std::string& name) { return std::holds_alternative<FieldObject>(scaling.raw(name)); });
  return found;
}

}  // namespace

Status read_hf_rope(ConfigFields& fields, const HfDefaults& defaults, ModelConfig* config) {
  VORTEX_ASSIGN_OR_RETURN(const std::string_view key, scaling_key(fields));
  ConfigFields scaling = fields.within(key);
  const std::vector<std::string> types = inner_objects(scaling, fields.raw(key));
  const bool by_type = defaults.sliding_rope_theta > 0;
  for (const std::string& type : types) {
    if (by_type && (type == kFull || type == kSliding)) continue;
    return unsupported(fields.where(), fmt::format("{} differs by layer type ({})", key, quote_name(type)));
  }
  const RopeConfig family_choice = config->rope;
  const RopeSource full{types.empty() ? scaling : scaling.within(kFull), defaults.rope_theta};
  VORTEX_RETURN_IF_ERROR(read_rope(fields, full, defaults, *config, &config->rope));
  if (!by_type) return {};
  // The old form scales full layers only.
  const RopeSource sliding{scaling.within(kSliding), defaults.sliding_rope_theta, "rope_local_base_freq"};
  config->sliding_rope = family_choice;
  return read_rope(fields, sliding, defaults, *config, &*config->sliding_rope);
}

}  // namespace vortex
