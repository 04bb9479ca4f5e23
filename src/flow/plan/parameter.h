// Parameter: the weights of Project, which a graph names and does not hold.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace vortex::flow {

/// A matrix [rows, cols] for each layer, bfloat16, row after row. A layer that has none (an empty vector, or beyond the
/// end) has the identity, repeated cols / rows times.
struct Parameter {
  std::string name;
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<std::vector<uint16_t>> layers;

  /// Null for the identity.
  const uint16_t* of_layer(int layer) const {
    const auto index = static_cast<size_t>(layer);
    return index < layers.size() && !layers[index].empty() ? layers[index].data() : nullptr;
  }
};
using Parameters = std::vector<std::shared_ptr<const Parameter>>;

}  // namespace vortex::flow
