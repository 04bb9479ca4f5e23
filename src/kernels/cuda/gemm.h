// Products with weights, by cuBLASLt.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>

namespace vortex::cuda {

/// y[t, r] = sum_c w[r, c] x[t, c] (+ bias[r]) (+ y[t, r]), for each of `batch` strided problems. float32 sums.
struct GemmCall {
  const void* weight = nullptr;         // [rows, cols] bf16, rows weight_ld apart; or e4m3 with weight_scale
  const float* weight_scale = nullptr;  // e4m3: [rows]; null: bf16. x is then quantised a row at a time
  int64_t weight_ld = 0;                // 0: cols
  const __nv_bfloat16* x = nullptr;     // [tokens, cols], rows x_ld apart
  int64_t x_ld = 0;                     // 0: cols
  void* y = nullptr;                    // [tokens, rows], rows y_ld apart
  int64_t y_ld = 0;                     // 0: rows
  bool y_float = false;                 // y is float32, else bf16
  bool accumulate = false;              // add to y
  const float* bias = nullptr;          // [rows] or null
  int64_t tokens = 0, rows = 0, cols = 0;
  int batch = 1;
  int64_t weight_step = 0, x_step = 0, y_step = 0;  // elements between problems
};

class Gemm {
 public:
  Gemm();
  ~Gemm();
  /// Queues a product. The first of a shape chooses its algorithm; a shape must have been seen before it is captured.
  /// fp8 weights need compute capability 9.0, cols a multiple of 16 and batch 1.
  void run(const GemmCall& call, cudaStream_t stream);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vortex::cuda
