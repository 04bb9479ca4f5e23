// The model families this build knows: one file a family, one explicit list.
#pragma once

#include <memory>

#include "model/layers.h"

namespace vortex::model {

/// The two blocks of one layer.
struct LayerBlocks {
  std::unique_ptr<AttentionBlock> attention;
  std::unique_ptr<FeedForward> feed_forward;
};

/// Builds layer `layer` of a family, taking its weights.
using LayerBuilder = Result<LayerBlocks> (*)(const LoadContext& context, int layer);

/// kUnsupported, with the list of families, when the config's is not among them.
Result<LayerBuilder> find_layer_builder(const ModelConfig& config);

/// "model.layers.<layer>.": where a layer's weights are.
std::string layer_prefix(int layer);

Result<LayerBlocks> build_llama_layer(const LoadContext& context, int layer);  // Llama, Mistral: arch/llama.cc
Result<LayerBlocks> build_qwen2_layer(const LoadContext& context, int layer);
Result<LayerBlocks> build_qwen3_layer(const LoadContext& context, int layer);

}  // namespace vortex::model
