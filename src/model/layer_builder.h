// One layer of a model: which blocks it is made of follows from ModelConfig, so a family is only a way to read its
// files (loader/families).
#pragma once

#include <memory>
#include <string>

#include "model/layers.h"

namespace vortex::model {

/// The two blocks of one layer.
struct LayerBlocks {
  std::unique_ptr<AttentionBlock> attention;
  std::unique_ptr<FeedForward> feed_forward;
};

/// Builds layer `layer`, taking its weights.
Result<LayerBlocks> build_layer(const LoadContext& context, int layer);

/// "model.layers.<layer>.": where a layer's weights are.
std::string layer_prefix(int layer);

}  // namespace vortex::model
