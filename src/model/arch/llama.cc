// Llama (arXiv:2302.13971) and Mistral (arXiv:2310.06825): grouped-query attention and a gated MLP.
#include "model/arch/registry.h"
#include "model/gated_mlp.h"
#include "model/gqa_attention.h"

namespace vortex::model {

Result<LayerBlocks> build_llama_layer(const LoadContext& context, int layer) {
  const GqaOptions options{.qkv_bias = context.config->qkv_bias, .o_bias = context.config->o_bias};
  LayerBlocks blocks;
  VORTEX_ASSIGN_OR_RETURN(blocks.attention, GqaAttention::load(context, layer_prefix(layer) + "self_attn.", options));
  VORTEX_ASSIGN_OR_RETURN(blocks.feed_forward,
                          GatedMlp::load(context, layer_prefix(layer) + "mlp.", context.config->mlp_bias));
  return blocks;
}

}  // namespace vortex::model
