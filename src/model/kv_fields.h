// What the cache keeps of every token, before any flow adds to it.
#pragma once

#include <vector>

#include "loader/model_config.h"
#include "tensor/paged.h"

namespace vortex::model {

/// The fields of a page of a layer for one kv head: k and v, or latent, in `dtype`.
std::vector<FieldSpec> kv_fields(const ModelConfig& config, int page_tokens, DType dtype);

/// Bytes a token takes in the cache, all layers together.
int64_t kv_bytes_per_token(const ModelConfig& config, DType dtype);

}  // namespace vortex::model
