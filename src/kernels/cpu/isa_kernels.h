// The kernels of one instruction set, as a table of functions. The files under isa/ are compiled once per set and
// each copy defines its table; everything else calls through it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/cpu_features.h"
#include "tensor/dtype.h"

namespace vortex::kernels::cpu {

/// Rows of activations in 8 bits: x = scale * code, a scale for each 32 columns.
struct QuantizedRows {
  int8_t* codes = nullptr;  // [rows, cols]
  float* scales = nullptr;  // [rows, cols / 32]
  float* sums = nullptr;    // [rows, cols / 32]: scale * sum of the group's codes
};

/// A run of panels of one matrix times a run of tokens.
struct PanelTask {
  const std::byte* panels = nullptr;  // the first of the run
  int64_t panel_bytes = 0;
  int64_t rows = 0;  // matrix rows the run covers: the last panel may have fewer than its full width
  int64_t cols = 0;
  int64_t tokens = 0;
  const float* x = nullptr;  // [tokens, cols], for float weights
  QuantizedRows quantized;   // the same, for block types
  float* out = nullptr;      // [tokens, ..], at the run's first row
  int64_t out_stride = 0;
  const float* bias = nullptr;  // at the run's first row, or null
  bool accumulate = false;
};
using PanelKernel = void (*)(const PanelTask& task);

struct IsaKernels {
  int lanes;
  PanelKernel (*panel_kernel)(DType dtype);
  void (*quantize_rows)(const float* x, int64_t rows, int64_t cols, const QuantizedRows& out);
  void (*rms_norm)(const float* x, int64_t x_stride, const float* weight, float eps, int64_t rows, int64_t cols,
                   float* out);
  /// One token's heads; cos and sin are that token's.
  void (*rope)(float* x, int heads, int head_dim, const float* cos, const float* sin, int pairs, bool interleaved);
  void (*silu_mul)(const float* gate, const float* up, int64_t n, float* out);
};

/// The table of a level this processor has.
const IsaKernels& isa_kernels(Isa isa);

}  // namespace vortex::kernels::cpu
