// The block `sparsity` of reports and responses (docs/json.md).
#pragma once

#include <nlohmann/json.hpp>

#include "engine/completion.h"

namespace vortex {

inline nlohmann::ordered_json sparsity_json(const SparsityReport& r) {
  nlohmann::ordered_json flow;
  if (r.active) flow = r.flow;
  return {{"active", r.active},
          {"flow", flow},
          {"page_size", r.page_size},
          {"pages_held", r.pages_held},
          {"pages_read", r.pages_read},
          {"read_fraction", r.read_fraction()},
          {"steps_sparse", r.steps_sparse},
          {"steps_dense", r.steps_dense},
          {"layers_sparse", r.layers_sparse}};
}

}  // namespace vortex
