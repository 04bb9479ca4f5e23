#include "kernels/cpu/isa/dense_kernels.h"
#include "kernels/cpu/simd/simd.h"

namespace vortex::VORTEX_ISA {
namespace {

kernels::cpu::PanelKernel panel_kernel(DType dtype) {
  const kernels::cpu::PanelKernel kernel = block_panel_kernel(dtype);
  return kernel != nullptr ? kernel : float_panel_kernel(dtype);
}

}  // namespace

extern const kernels::cpu::IsaKernels kDenseKernels;
constinit const kernels::cpu::IsaKernels kDenseKernels = {
    .lanes = kLanes,
    .panel_kernel = panel_kernel,
    .quantize_rows = quantize_rows,
    .rms_norm = rms_norm_rows,
    .rope = rope_token,
    .gate_mul = {silu_mul, gelu_tanh_mul, clamped_swiglu},
    .add_weighted_rows = add_weighted_rows,
};

}  // namespace vortex::VORTEX_ISA
