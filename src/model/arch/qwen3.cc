// Qwen3 (arXiv:2505.09388): as Llama, with an RMS norm on each head of q and k.
#include "model/arch/registry.h"
#include "model/gated_mlp.h"
#include "model/gqa_attention.h"

namespace vortex::model {

Result<LayerBlocks> build_qwen3_layer(const LoadContext& context, int layer) {
  const GqaOptions options{.qkv_bias = context.config->qkv_bias, .o_bias = context.config->o_bias, .qk_norm = true};
  LayerBlocks blocks;
  VORTEX_ASSIGN_OR_RETURN(blocks.attention, GqaAttention::load(context, layer_prefix(layer) + "self_attn.", options));
  VORTEX_ASSIGN_OR_RETURN(blocks.feed_forward, GatedMlp::load(context, layer_prefix(layer) + "mlp.", false));
  return blocks;
}

}  // namespace vortex::model
