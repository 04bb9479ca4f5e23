// GLM-4.7-Flash: latent attention and a mixture in DeepSeek-V3's form.
#include "loader/errors.h"
#include "loader/families/experts.h"
#include "loader/families/families.h"
#include "loader/families/latent.h"

namespace vortex::families {
namespace {

constexpr HfName kNames[] = {{"Glm4MoeLiteForCausalLM", "glm4_moe_lite"}};
constexpr std::string_view kHonours[] = {"kv_lora_rank", "n_routed_experts", "num_local_experts", "n_shared_experts",
                                         "rope_interleave"};

/// mlp_layer_types names each layer; older files count the dense ones at the start.
void read_mixed_layers(ConfigFields& fields, ModelConfig* out) {
  const auto types = fields.texts("mlp_layer_types");
  if (!types) return read_dense_start(fields, 1, out);
  if (types->size() != static_cast<size_t>(out->layers)) {
    return fields.fail(
        data_loss(fields.where(), fmt::format("mlp_layer_types names {} of {} layers", types->size(), out->layers)));
  }
  for (const std::string& type : *types) {
    if (type == "dense" || type == "sparse") continue;
    fields.fail(unsupported(fields.where(), fmt::format("unknown mlp layer type {}", quote_name(type)),
                            "supported: dense, sparse"));
  }
  mix_layers(out, [&](int layer) { return (*types)[static_cast<size_t>(layer)] == "sparse"; });
}

void read_hf(ConfigFields& fields, ModelConfig* out) {
  read_hf_latent(fields, out);
  out->rope.interleaved = fields.boolean("rope_interleave").value_or(true);
  read_hf_experts(fields, "moe_intermediate_size", &out->moe);
  read_noaux_router(fields, {.routed_scale = 1.8f}, &out->moe);
  read_mixed_layers(fields, out);
}

}  // namespace

constinit const Family kGlm4MoeLite{
    .hf = {.names = kNames, .defaults = {.max_positions = 202752}, .honours = kHonours, .read = read_hf},
    .has_prediction_layers = true,
};

}  // namespace vortex::families
