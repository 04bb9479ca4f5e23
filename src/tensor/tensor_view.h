// TensorView: a typed, shaped, row-major window on memory someone else owns.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "base/check.h"
#include "tensor/dtype.h"

namespace vortex {

/// Up to four dimensions, slowest first: [rows, cols] is {rows, cols}.
class Shape {
 public:
  static constexpr int kMaxRank = 4;
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) {
    for (int64_t d : dims) push_back(d);
  }
  void push_back(int64_t dim) {
    VORTEX_CHECK(rank_ < kMaxRank && dim >= 0, "rank {} dim {}", rank_, dim);
    dims_[static_cast<size_t>(rank_++)] = dim;
  }
  int rank() const { return rank_; }
  int64_t operator[](int i) const {
    VORTEX_CHECK(i >= 0 && i < rank_);
    return dims_[static_cast<size_t>(i)];
  }
  /// Product of all dimensions; 1 for rank 0. The caller has bounded it against overflow.
  int64_t elements() const {
    int64_t n = 1;
    for (int i = 0; i < rank_; ++i) n *= dims_[static_cast<size_t>(i)];
    return n;
  }
  bool operator==(const Shape&) const = default;
  std::string to_string() const;  // "[576, 49152]"

 private:
  std::array<int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

struct TensorView {
  const std::byte* data = nullptr;
  DType dtype = DType::kF32;
  Shape shape;

  int64_t rows() const { return shape.rank() == 0 ? 1 : shape[0]; }
  /// Elements of one row: everything but the first dimension.
  int64_t cols() const { return rows() == 0 ? 0 : shape.elements() / rows(); }
  int64_t bytes() const { return dtype_bytes(dtype, shape.elements()); }
};

}  // namespace vortex
