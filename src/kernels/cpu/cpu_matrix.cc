#include "kernels/cpu/cpu_matrix.h"

#include "kernels/cpu/pack.h"

namespace vortex::kernels::cpu {
CpuMatrix::CpuMatrix(const TensorView& source, const IsaKernels& kernels, PanelArena* arena, WorkerPool* pool)
    : Matrix(source),
      panel_rows_(cpu::panel_rows(source.dtype, kernels.lanes)),
      panel_bytes_(cpu::panel_bytes(source.dtype, source.cols(), kernels.lanes)),
      kernel_(kernels.panel_kernel(source.dtype)),
      data_(arena->allocate(panels() * panel_bytes_)) {
  pool->parallel_ranges(panels(), 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t p = begin; p < end; ++p) pack_panel(source, p, kernels.lanes, data_.get() + p * panel_bytes_);
  });
}

}  // namespace vortex::kernels::cpu
