// Compiled once per instruction set.
#include "attention/cpu/kernels.h"
#include "kernels/cpu/simd/simd.h"

namespace vortex::VORTEX_ISA {

void store_bf16_row(const float* from, int n, uint16_t* to) {
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) store_bf16(to + i, load(from + i));
  if (i == n) return;
  uint16_t tail[kLanes];
  store_bf16(tail, load_n(from + i, n - i));
  for (int j = 0; i < n; ++i, ++j) to[i] = tail[j];
}

attention::Kernels attention_kernels() {
  return {kPanelRows, store_bf16_row, decode_chunk, merge_chunks, prefill_block};
}

}  // namespace vortex::VORTEX_ISA
