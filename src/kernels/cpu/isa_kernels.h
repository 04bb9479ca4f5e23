// The kernels of one instruction set, as a table of functions. The files under isa/ are compiled once per set and
// each copy defines its table; everything else calls through it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/cpu_features.h"
#include "tensor/dtype.h"

namespace vortex::kernels::cpu {

/// Tokens that a block kernel takes at once: few enough for their sums to stay in the first-level cache.
constexpr int64_t kTokenChunk = 32;

/// Below this many elements (or bytes of weights read) a fork-join costs more than a second thread saves.
constexpr int64_t kWorthSplitting = 16 * 1024;

/// A chunk of at most kTokenChunk rows of activations in 8 bits: x = scale * code, a scale for each group of 32
/// columns. Group by group, so that all tokens meet a group of weights side by side.
struct QuantizedRows {
  int8_t* codes = nullptr;  // [cols / 32, rows, 32]
  float* scales = nullptr;  // [cols / 32, rows]
  float* sums = nullptr;    // [cols / 32, rows]: scale * sum of the group's codes
};

/// A run of panels of one matrix times a run of tokens.
struct PanelTask {
  const std::byte* panels = nullptr;  // the first of the run
  int64_t panel_bytes = 0;
  int64_t rows = 0;  // matrix rows the run covers: the last panel may have fewer than its full width
  int64_t cols = 0;
  int64_t tokens = 0;        // at most kTokenChunk for block types
  const float* x = nullptr;  // [tokens, cols], for float weights
  int64_t x_stride = 0;
  QuantizedRows quantized;  // the same, for block types
  float* out = nullptr;     // [tokens, ..], at the run's first row
  int64_t out_stride = 0;
  const float* bias = nullptr;  // at the run's first row, or null
  bool accumulate = false;
};
using PanelKernel = void (*)(const PanelTask& task);
/// n elements; out may be gate.
using GateKernel = void (*)(const float* gate, const float* up, int64_t n, float* out);

struct IsaKernels {
  int lanes;
  PanelKernel (*panel_kernel)(DType dtype);
  /// `count` rows of x, at most kTokenChunk: those that `rows` names, or, when it is null, the first.
  void (*quantize_rows)(const float* x, int64_t x_stride, const int64_t* rows, int64_t count, int64_t cols,
                        const QuantizedRows& out);
  void (*rms_norm)(const float* x, int64_t x_stride, const float* weight, float eps, int64_t rows, int64_t cols,
                   float* out);
  /// One token's heads; cos and sin are that token's.
  void (*rope)(float* x, int heads, int head_dim, const float* cos, const float* sin, int pairs, bool interleaved);
  GateKernel gate_mul[3];  // by Gating
  /// One token: `count` rows of x.
  void (*add_weighted_rows)(const float* x, int64_t cols, const int64_t* rows, const float* weights, int count,
                            float* out);
};

/// The table of a level this processor has.
const IsaKernels& isa_kernels(Isa isa);

}  // namespace vortex::kernels::cpu
