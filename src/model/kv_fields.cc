#include "model/kv_fields.h"

namespace vortex::model {

std::vector<FieldSpec> kv_fields(const ModelConfig& config, int page_tokens, DType dtype) {
  if (config.latent()) return {{"latent", page_tokens, config.head_dim, dtype}};
  return {{"k", page_tokens, config.head_dim, dtype}, {"v", page_tokens, config.head_dim, dtype}};
}

int64_t kv_bytes_per_token(const ModelConfig& config, DType dtype) {
  int64_t bytes = 0;
  for (const FieldSpec& field : kv_fields(config, 1, dtype)) bytes += field.page_bytes();
  return bytes * config.kv_heads * config.layers;
}

}  // namespace vortex::model
