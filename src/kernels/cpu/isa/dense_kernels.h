// What the files of this folder define for the table of their instruction set.
#pragma once

#include "kernels/cpu/isa_kernels.h"

namespace vortex::VORTEX_ISA {

/// Null for types that are not blocks.
kernels::cpu::PanelKernel block_panel_kernel(DType dtype);
kernels::cpu::PanelKernel float_panel_kernel(DType dtype);

void quantize_rows(const float* x, int64_t x_stride, const int64_t* rows, int64_t count, int64_t cols,
                   const kernels::cpu::QuantizedRows& out);
void rms_norm_rows(const float* x, int64_t x_stride, const float* weight, float eps, int64_t rows, int64_t cols,
                   float* out);
void rope_token(float* x, int heads, int head_dim, const float* cos, const float* sin, int pairs, bool interleaved);
void silu_mul(const float* gate, const float* up, int64_t n, float* out);
void gelu_tanh_mul(const float* gate, const float* up, int64_t n, float* out);
void clamped_swiglu(const float* gate, const float* up, int64_t n, float* out);
void add_weighted_rows(const float* x, int64_t cols, const int64_t* rows, const float* weights, int count, float* out);

}  // namespace vortex::VORTEX_ISA
