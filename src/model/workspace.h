// Workspace: scratch of one step, shared by all layers. Buffers only grow, so a warm step allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace vortex::model {

class Workspace {
 public:
  static constexpr int kSlots = 8;

  /// At least `n` floats, whose contents are whatever was there. A slot has one user at a time: a block may use them
  /// all, and leaves nothing in them for the next.
  float* floats(int slot, int64_t n) {
    std::vector<float>& buffer = buffers_[static_cast<size_t>(slot)];
    if (buffer.size() < static_cast<size_t>(n)) buffer.resize(static_cast<size_t>(n));
    return buffer.data();
  }

 private:
  std::array<std::vector<float>, kSlots> buffers_;
};

}  // namespace vortex::model
