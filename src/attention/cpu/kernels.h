// What the threaded operator asks of one instruction set: plain structs and functions, no std, because these files
// are compiled once per instruction set (cmake/VortexIsa.cmake).
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/paged.h"

namespace vortex::attention {

/// Fields k and v of one layer. Both have the same shape and dtype.
struct KvPages {
  const std::byte* k = nullptr;
  const std::byte* v = nullptr;
  int64_t page_bytes = 0;
  int page_tokens = 0;
  int dim = 0;
  bool bf16 = true;  // else float32
};

/// Some pages of one row. The result is a partial softmax: for each head g, out[g] = sum of exp(score - max) v
/// [stride floats apart], and after its `dim` rounded up to kMaxLanes floats come that max and the sum of the weights.
struct DecodeChunk {
  KvPages kv;
  const PageId* pages = nullptr;
  int count = 0;
  int last_tokens = 0;       // tokens of the last page that count
  const float* q = nullptr;  // [group, dim]
  int group = 0;
  float scale = 1.0f;
  float* out = nullptr;      // [group, partial_stride(dim)]
  float* scratch = nullptr;  // decode_scratch(group, dim) floats
};

/// Joins `count` partial results of one row, in order: out [group, dim].
struct MergeChunks {
  const float* partials = nullptr;  // [count, group, partial_stride(dim)]
  int count = 0;
  int group = 0;
  int dim = 0;
  float* out = nullptr;
};

/// The query heads of one kv head for consecutive tokens.
struct PrefillBlock {
  KvPages kv;
  const PageId* pages = nullptr;  // of this kv head, from position 0
  int64_t first = 0;              // position of the first query token
  int tokens = 0;
  int group = 0;
  float scale = 1.0f;
  const float* q = nullptr;  // [tokens, group, dim], tokens q_stride floats apart
  int64_t q_stride = 0;
  float* out = nullptr;
  int64_t out_stride = 0;
  float* scratch = nullptr;  // prefill_scratch(tokens * group, dim) floats
};

constexpr int kMaxLanes = 16;      // floats in the widest vector
constexpr int kDecodeTile = 32;    // tokens whose scores are held at once
constexpr int kKeyBlock = 128;     // prefill: keys between two rescalings, aligned to position 0
constexpr int kMaxPanelRows = 48;  // prefill: query rows a register tile spans, at most

// Internal linkage: no copy built for a newer CPU can stand in for another.
static constexpr int padded_dim(int dim) { return (dim + kMaxLanes - 1) / kMaxLanes * kMaxLanes; }
static constexpr int partial_stride(int dim) { return padded_dim(dim) + kMaxLanes; }
static constexpr int64_t decode_scratch(int group, int dim) { return int64_t{group} * (padded_dim(dim) + kDecodeTile); }
static constexpr int64_t prefill_scratch(int64_t rows, int dim) {
  const int64_t padded_rows = rows + kMaxPanelRows;
  return padded_rows * (2 * padded_dim(dim) + 2) + 2 * kKeyBlock * padded_dim(dim) + kKeyBlock * kMaxPanelRows;
}

struct Kernels {
  int panel_rows;  // prefill blocks do best with a multiple of this many rows (tokens * group)
  void (*store_bf16_row)(const float* from, int n, uint16_t* to);
  void (*decode_chunk)(const DecodeChunk& chunk);
  void (*merge_chunks)(const MergeChunks& merge);
  void (*prefill_block)(const PrefillBlock& block);
};

}  // namespace vortex::attention

#define VORTEX_DECLARE_ATTENTION_KERNELS(isa)                  \
  namespace vortex::isa {                                      \
  extern const int kPanelRows;                                 \
  void store_bf16_row(const float* from, int n, uint16_t* to); \
  void decode_chunk(const attention::DecodeChunk& chunk);      \
  void merge_chunks(const attention::MergeChunks& merge);      \
  void prefill_block(const attention::PrefillBlock& block);    \
  attention::Kernels attention_kernels();                      \
  }
VORTEX_DECLARE_ATTENTION_KERNELS(portable)
VORTEX_DECLARE_ATTENTION_KERNELS(avx2)
VORTEX_DECLARE_ATTENTION_KERNELS(avx512)
#undef VORTEX_DECLARE_ATTENTION_KERNELS
