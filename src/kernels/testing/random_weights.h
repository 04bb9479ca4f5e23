// Random weights of any type for tests and benchmarks.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/tensor_view.h"

namespace vortex::kernels::testing {

/// A matrix and its memory. Values are about as large as those of a trained layer: |w| below 1, no NaN.
struct RandomMatrix {
  std::vector<std::byte> bytes;
  TensorView view;
};

/// Quantised types get random codes (every bit pattern occurs) with small random scales. Same seed, same matrix.
RandomMatrix random_matrix(DType dtype, int64_t rows, int64_t cols, uint32_t seed);

/// `n` numbers from a normal distribution, with a few ten times as large, as activations have.
std::vector<float> random_activations(int64_t n, uint32_t seed);

}  // namespace vortex::kernels::testing
