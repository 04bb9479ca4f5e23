// The end of every product: bias, residual, and rows that the last panel of a matrix lacks.
#pragma once

#include "kernels/cpu/isa_kernels.h"
#include "kernels/cpu/simd/simd.h"

namespace vortex::VORTEX_ISA {

/// Stores sums of kLanes rows from `row` (of the task) on for one token.
inline void store_rows(const kernels::cpu::PanelTask& task, int64_t token, int64_t row, F32 sum) {
  float* out = task.out + token * task.out_stride + row;
  const int64_t left = task.rows - row;
  if (left >= kLanes) {
    if (task.bias != nullptr) sum = sum + load(task.bias + row);
    if (task.accumulate) sum = load(out) + sum;
    return store(out, sum);
  }
  if (left <= 0) return;
  const int n = static_cast<int>(left);
  if (task.bias != nullptr) sum = sum + load_n(task.bias + row, n);
  if (task.accumulate) sum = load_n(out, n) + sum;
  store_n(out, sum, n);
}

}  // namespace vortex::VORTEX_ISA
