// What the threaded operator asks of one instruction set: plain structs and functions, no std, because these files
// are compiled once per instruction set (cmake/VortexIsa.cmake).
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/paged.h"

namespace vortex::attention {

/// How a number of a key or value is stored. Codes of 8 bits have their step behind each row (tensor/codes.h).
enum class KvElement { kFloat32, kBFloat16, kCode8 };

/// Keys and values of one layer: fields k and v, or latents, whose values are the first columns of the keys' memory.
struct KvPages {
  const std::byte* k = nullptr;
  const std::byte* v = nullptr;
  int64_t page_bytes = 0;  // of each
  int page_tokens = 0;
  int key_dim = 0;
  int value_dim = 0;
  KvElement element = KvElement::kBFloat16;
};

/// Some pages of one row, a tile at a time. The result is a partial softmax: for each head g, out[g] = sum of exp(score
/// - max) v [stride floats apart], and after value_dim rounded up to kMaxLanes floats come that max and the sum of the
/// weights; the rest of the stride is the kernel's own.
struct DecodeChunk {
  KvPages kv;
  const PageId* pages = nullptr;
  int count = 0;
  int skip_tokens = 0;       // tokens of the first page that do not count
  int last_tokens = 0;       // tokens of the last page that count
  const float* q = nullptr;  // [group, key_dim]
  int group = 0;
  float scale = 1.0f;
  const float* sinks = nullptr;  // [group], null: none
  float* out = nullptr;          // [group, partial_stride(value_dim)]
};

/// Chunks that are decoded in turn, a tile of each at a time: those of neighbouring kv heads lie next to each other,
/// and memory is read fastest in order. All have the same kv, group and scale; none changes the result of another.
struct DecodeGroup {
  const DecodeChunk* chunks = nullptr;
  int count = 0;             // at most kMaxGroupChunks
  float* scratch = nullptr;  // decode_scratch(count, group, key_dim) floats
};

/// Joins `count` partial results of one row, in order, and uses them up: out [group, dim].
struct MergeChunks {
  float* partials = nullptr;  // [count, group, partial_stride(dim)]
  int count = 0;
  int group = 0;
  int dim = 0;
  float* out = nullptr;
};

/// The query heads of one kv head for consecutive tokens.
struct PrefillBlock {
  KvPages kv;
  const PageId* pages = nullptr;  // of this kv head, from position 0
  /// Of a head's expanded latents, null: keys and values are as kv says. Else a token's key is its first `made_keys`
  /// floats here and then the columns that kv.k points to; its value is what follows here.
  const float* made = nullptr;
  int64_t made_stride = 0;
  int made_keys = 0;
  int64_t first = 0;  // position of the first query token
  int tokens = 0;
  int group = 0;
  int window = 0;  // tokens a query sees, 0: all
  float scale = 1.0f;
  const float* sinks = nullptr;  // [group], null: none
  const float* q = nullptr;      // [tokens, group, key_dim], tokens q_stride floats apart
  int64_t q_stride = 0;
  float* out = nullptr;  // [tokens, group, value_dim]
  int64_t out_stride = 0;
  float* scratch = nullptr;  // prefill_scratch(tokens * group, key_dim, value_dim) floats
};

constexpr int kMaxLanes = 16;    // floats in the widest vector
constexpr int kDecodeTile = 32;  // tokens whose scores are held at once, at most
constexpr int kMaxGroupChunks = 8;
constexpr int kTileHeads = 4;      // decode: heads a register tile spans, at most
constexpr int kKeyBlock = 128;     // prefill: keys between two rescalings, aligned to position 0
constexpr int kMaxPanelRows = 48;  // prefill: query rows a register tile spans, at most

// Internal linkage: no copy built for a newer CPU can stand in for another.
static constexpr int padded_dim(int dim) { return (dim + kMaxLanes - 1) / kMaxLanes * kMaxLanes; }
static constexpr int partial_stride(int dim) { return padded_dim(dim) + 2 * kMaxLanes; }
static constexpr int64_t decode_scratch(int chunks, int group, int key_dim) {
  return int64_t{group} * (int64_t{chunks} * (padded_dim(key_dim) + 1) + kDecodeTile) +
         kDecodeTile * (padded_dim(key_dim) + kTileHeads * kMaxLanes + 2);
}
static constexpr int64_t prefill_scratch(int64_t rows, int key_dim, int value_dim) {
  const int64_t columns = padded_dim(key_dim) + padded_dim(value_dim);
  return (rows + kMaxPanelRows) * (columns + 2) + kKeyBlock * (columns + kMaxPanelRows);
}

struct Kernels {
  int panel_rows;  // prefill blocks do best with a multiple of this many rows (tokens * group)
  void (*store_bf16_row)(const float* from, int n, uint16_t* to);
  void (*load_bf16_row)(const uint16_t* from, int n, float* to);
  void (*decode_chunks)(const DecodeGroup& group);
  void (*merge_chunks)(const MergeChunks& merge);
  void (*prefill_block)(const PrefillBlock& block);
};

}  // namespace vortex::attention

#define VORTEX_DECLARE_ATTENTION_KERNELS(isa)                  \
  namespace vortex::isa {                                      \
  extern const int kPanelRows;                                 \
  void store_bf16_row(const float* from, int n, uint16_t* to); \
  void load_bf16_row(const uint16_t* from, int n, float* to);  \
  void decode_chunks(const attention::DecodeGroup& group);     \
  void merge_chunks(const attention::MergeChunks& merge);      \
  void prefill_block(const attention::PrefillBlock& block);    \
  attention::Kernels attention_kernels();                      \
  }
VORTEX_DECLARE_ATTENTION_KERNELS(portable)
VORTEX_DECLARE_ATTENTION_KERNELS(avx2)
VORTEX_DECLARE_ATTENTION_KERNELS(avx512)
VORTEX_DECLARE_ATTENTION_KERNELS(neon)
#undef VORTEX_DECLARE_ATTENTION_KERNELS
