// The part of attention that all kinds share: which pages the decode rows of a layer read.
#pragma once

#include "model/layers.h"

namespace vortex::model {

/// Runs the flow's forward_cache on the pages that this step completed; their tokens are stored.
void update_fields(const LayerStep& step);

/// Attention of the batch's decodes, which come first: queries [decodes, heads, key dim], out [decodes, heads, value
/// dim]. A sliding layer reads its window, a sparse one what its flow selects, any other everything.
void decode_rows(const LayerStep& step, const Backend& backend, const attention::AttentionShape& shape,
                 const float* queries, float* out);

/// What logits are multiplied by, the model's own factor or 1 / sqrt(head_dim).
float attention_scale(const ModelConfig& config);

}  // namespace vortex::model
