// Memory for panels: many matrices in one run of huge pages. Measured on Zen 3, a core reads 24.6 GB/s from huge
// pages and 19.2 GB/s from small ones, and decode is nothing but reading.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace vortex::kernels::cpu {

class PanelArena {
 public:
  /// `bytes` of memory, aligned to a cache line. Freed, a chunk of matrices at a time, when the last of a chunk goes;
  /// it may outlive the arena. Aborts when there is no memory.
  std::shared_ptr<std::byte> allocate(int64_t bytes);

 private:
  std::shared_ptr<std::byte> chunk_;
  int64_t used_ = 0;
  int64_t size_ = 0;
};

}  // namespace vortex::kernels::cpu
