// What kernels see of one step: plain structs over device memory, passed by value. Host-free, so that run-time compiled
// sources include it too. Vocabulary and formulas: tensor/paged.h.
#pragma once

#ifndef __CUDACC_RTC__
#include <cstdint>
#endif

namespace vortex::cuda {

/// The sequences of a step. Decodes come first, then those whose prompts advance; a graph's batch is padded with
/// sequences of no tokens. All arrays are in device memory.
struct StepView {
  const int32_t* tables = nullptr;       // [sequences, table_stride] slab ids
  int32_t table_stride = 0;              // slabs a row has room for
  const int32_t* tokens = nullptr;       // [decodes] L: tokens in the cache, the new one included; 0: padding
  const int32_t* pages = nullptr;        // [decodes] n = ceil(L / page_tokens)
  const int32_t* selected = nullptr;     // [decodes] m: pages that a sparse layer reads a row; m == n: dense
  const int32_t* last_tokens = nullptr;  // [decodes] tokens in the last page
  int32_t decodes = 0;                   // padding included
  int32_t kv_heads = 0;
  int32_t page_tokens = 0;
  int32_t pages_per_slab = 1;
  int32_t reserved_bos = 1;
  int32_t reserved_eos = 1;

#ifdef __CUDACC__
  __device__ int32_t page_id(int32_t sequence, int32_t page, int32_t head) const {
    const int32_t slab = tables[int64_t{sequence} * table_stride + page / pages_per_slab];
    return (slab * kv_heads + head) * pages_per_slab + page % pages_per_slab;
  }
#endif
};

/// The new tokens of a step, those of decodes first: token t of a decode is sequence t.
struct TokenView {
  const int32_t* sequence = nullptr;  // [count] row of StepView::tables
  const int32_t* position = nullptr;  // [count] in its sequence; -1: padding, nothing is stored for it
  int32_t count = 0;
};

/// One field of one layer (tensor/paged.h): page id p starts at base + p * page_bytes.
struct FieldPointer {
  unsigned char* base = nullptr;
  int64_t page_bytes = 0;
};

/// What each row reads: the first counts[row] entries of its line, the last page last. Row = sequence * kv_heads +
/// head.
struct ListView {
  int32_t* pages = nullptr;   // [rows, stride] page ids
  int32_t* counts = nullptr;  // [rows]
  int32_t stride = 0;
};

}  // namespace vortex::cuda
