// Inputs of products with fp8 weights.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp8.h>
#include <cuda_runtime_api.h>

#include <cstdint>

namespace vortex::cuda {

/// out[r] = e4m3(x[r] / scale[r]), scale[r] = the largest magnitude of row r / 448, or 1 for a row of zeros: x [rows,
/// cols], rows x_ld apart; out without gaps.
void quantize_rows(const __nv_bfloat16* x, int64_t x_ld, int64_t rows, int64_t cols, __nv_fp8_e4m3* out, float* scale,
                   cudaStream_t stream);

}  // namespace vortex::cuda
