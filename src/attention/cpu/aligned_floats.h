// Scratch memory of kernels: grows, never shrinks, keeps nothing when it grows.
#pragma once

#include <cstdint>
#include <memory>
#include <new>

namespace vortex::attention {

class AlignedFloats {
 public:
  /// At least n floats at a multiple of 64 bytes.
  float* at_least(int64_t n) {
    if (n > size_) {
      data_.reset(static_cast<float*>(::operator new(static_cast<size_t>(n) * sizeof(float), kAlignment)));
      size_ = n;
    }
    return data_.get();
  }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(float* p) const { ::operator delete(p, kAlignment); }
  };
  std::unique_ptr<float, Free> data_;
  int64_t size_ = 0;
};

}  // namespace vortex::attention
