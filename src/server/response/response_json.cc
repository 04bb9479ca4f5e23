#include "server/response/response_json.h"

namespace vortex::server {

Json usage_json(const UsageSums& sums) {
  return {{"prompt_tokens", sums.prompt_tokens},
          {"completion_tokens", sums.completion_tokens},
          {"total_tokens", sums.prompt_tokens + sums.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", sums.cached_tokens}}}};
}

Json sparsity_json(const SparsityReport& r) {
  return {{"active", r.active},
          {"flow", r.active ? Json(r.flow) : Json(nullptr)},
          {"page_size", r.page_size},
          {"pages_held", r.pages_held},
          {"pages_read", r.pages_read},
          {"read_fraction", r.read_fraction()},
          {"steps_sparse", r.steps_sparse},
          {"steps_dense", r.steps_dense},
          {"layers_sparse", r.layers_sparse}};
}

}  // namespace vortex::server
