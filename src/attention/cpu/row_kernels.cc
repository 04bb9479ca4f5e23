// Rows from and to bfloat16, and the table of all kernels. Compiled once per instruction set.
#include "attention/cpu/kernels.h"
#include "attention/cpu/rows.h"

namespace vortex::VORTEX_ISA {

void store_bf16_row(const float* from, int n, uint16_t* to) {
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) store_bf16(to + i, load(from + i));
  if (i == n) return;
  uint16_t tail[kLanes];
  store_bf16(tail, load_n(from + i, n - i));
  for (int j = 0; i < n; ++i, ++j) to[i] = tail[j];
}

void load_bf16_row(const uint16_t* from, int n, float* to) { widen_row(from, n, to); }

attention::Kernels attention_kernels() {
  return {kPanelRows, store_bf16_row, load_bf16_row, decode_chunks, merge_chunks, prefill_block};
}

}  // namespace vortex::VORTEX_ISA
