// A prepared weight matrix of the CPU backend: its panels (panel_layout.h).
#pragma once

#include <memory>

#include "base/worker_pool.h"
#include "kernels/cpu/isa_kernels.h"
#include "kernels/cpu/panel_arena.h"
#include "kernels/dense_ops.h"

namespace vortex::kernels::cpu {

class CpuMatrix final : public Matrix {
 public:
  /// Packs `source`, which passed check_weight, into memory of `arena` on the threads of `pool`.
  CpuMatrix(const TensorView& source, const IsaKernels& kernels, PanelArena* arena, WorkerPool* pool);

  DType dtype() const { return source().dtype; }
  int panel_rows() const { return panel_rows_; }
  int64_t panel_bytes() const { return panel_bytes_; }
  int64_t panels() const { return (rows() + panel_rows_ - 1) / panel_rows_; }
  const std::byte* panel(int64_t index) const { return data_.get() + index * panel_bytes_; }
  PanelKernel kernel() const { return kernel_; }

 private:
  int panel_rows_;
  int64_t panel_bytes_;
  PanelKernel kernel_;
  std::shared_ptr<std::byte> data_;
};

}  // namespace vortex::kernels::cpu
