#include "kernels/cpu/cpu_matrix.h"

#include <cstdlib>

#include "kernels/cpu/pack.h"

namespace vortex::kernels::cpu {
namespace {

constexpr int64_t kAlignment = 64;  // a cache line, and the widest vector

std::byte* allocate(int64_t bytes) {
  const int64_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  void* memory = std::aligned_alloc(kAlignment, static_cast<size_t>(rounded));
  VORTEX_CHECK(memory != nullptr, "no memory for {} bytes of weights", rounded);
  return static_cast<std::byte*>(memory);
}

}  // namespace

void CpuMatrix::Free::operator()(std::byte* p) const { std::free(p); }

CpuMatrix::CpuMatrix(const TensorView& source, const IsaKernels& kernels, WorkerPool* pool)
    : Matrix(source),
      panel_rows_(cpu::panel_rows(source.dtype, kernels.lanes)),
      panel_bytes_(cpu::panel_bytes(source.dtype, source.cols(), kernels.lanes)),
      kernel_(kernels.panel_kernel(source.dtype)),
      data_(allocate(panels() * panel_bytes_)) {
  pool->parallel_ranges(panels(), 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t p = begin; p < end; ++p) pack_panel(source, p, kernels.lanes, data_.get() + p * panel_bytes_);
  });
}

}  // namespace vortex::kernels::cpu
