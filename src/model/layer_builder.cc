#include "model/layer_builder.h"

#include "model/gated_mlp.h"
#include "model/gqa_attention.h"
#include "model/latent_attention.h"
#include "model/moe_feed_forward.h"

namespace vortex::model {
namespace {

Result<std::unique_ptr<FeedForward>> build_feed_forward(const LoadContext& context, int layer) {
  const ModelConfig& config = *context.config;
  const std::string prefix = layer_prefix(layer) + "mlp.";
  if (config.is_moe(layer)) return MoeFeedForward::load(context, prefix);
  return GatedMlp::load(context, prefix, config.intermediate_size, config.mlp_bias);
}

}  // namespace

Result<LayerBlocks> build_layer(const LoadContext& context, int layer) {
  LayerBlocks blocks;
  VORTEX_ASSIGN_OR_RETURN(blocks.attention, context.config->latent() ? LatentAttention::load(context, layer)
                                                                     : GqaAttention::load(context, layer));
  VORTEX_ASSIGN_OR_RETURN(blocks.feed_forward, build_feed_forward(context, layer));
  return blocks;
}

std::string layer_prefix(int layer) { return fmt::format("model.layers.{}.", layer); }

}  // namespace vortex::model
