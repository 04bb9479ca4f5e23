#include "tensor/tensor_view.h"

namespace vortex {

std::string Shape::to_string() const {
  std::string out = "[";
  for (int i = 0; i < rank_; ++i) out += fmt::format("{}{}", i ? ", " : "", dims_[static_cast<size_t>(i)]);
  return out + "]";
}

}  // namespace vortex
