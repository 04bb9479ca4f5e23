// Qwen2 (arXiv:2407.10671): as Llama, with biases on q, k and v.
#include "model/arch/registry.h"
#include "model/gated_mlp.h"
#include "model/gqa_attention.h"

namespace vortex::model {

Result<LayerBlocks> build_qwen2_layer(const LoadContext& context, int layer) {
  const GqaOptions options{.qkv_bias = true};
  LayerBlocks blocks;
  VORTEX_ASSIGN_OR_RETURN(blocks.attention, GqaAttention::load(context, layer_prefix(layer) + "self_attn.", options));
  VORTEX_ASSIGN_OR_RETURN(blocks.feed_forward, GatedMlp::load(context, layer_prefix(layer) + "mlp.", false));
  return blocks;
}

}  // namespace vortex::model
