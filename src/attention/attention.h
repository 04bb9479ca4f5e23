// AttentionOps: attention over pages. One contract, one implementation a backend: ref/ (plain loops, the oracle),
// cpu/, later cuda/. Queries and outputs are float32; K and V are read as the pool stores them (field 0 is k,
// field 1 is v, [page_tokens, head_dim] a page and kv head).
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "tensor/paged.h"

namespace vortex {
class WorkerPool;
}

namespace vortex::attention {

/// Consecutive new tokens of one sequence.
struct TokenSlice {
  std::span<const SlabId> table;  // slabs of the sequence; covers first + count tokens
  int64_t first = 0;              // position of the first token
  int64_t count = 0;
};

class AttentionOps {
 public:
  virtual ~AttentionOps() = default;

  /// Writes k and v of the slice's tokens to their places: k, v [count, kv_heads, head_dim], tokens `stride` floats
  /// apart. Rounds to the field's dtype (float32 or bfloat16, nearest even).
  virtual void store(const PageView& view, const TokenSlice& slice, const float* k, const float* v, int64_t stride) = 0;

  /// Causal attention of the slice's tokens over everything stored up to each of them (store() came first):
  /// q [count, heads, head_dim] with tokens `q_stride` floats apart, out the same with `out_stride`.
  /// Query head h reads kv head h / (heads / kv_heads).
  virtual void prefill(const PageView& view, const TokenSlice& slice, const float* q, int64_t q_stride, int heads,
                       float scale, float* out, int64_t out_stride) = 0;

  /// Decode: row r's `group` query heads q[r] [group, head_dim] attend to the pages that list row r names.
  /// Rows are contiguous: q and out are [rows, group, head_dim].
  virtual void decode(const PageView& view, const PageList& list, const float* q, int group, float scale,
                      float* out) = 0;
};

/// Plain loops, softmax in double: the oracle.
std::unique_ptr<AttentionOps> make_ref_attention_ops();

/// Vectorised and threaded on `pool`, which must outlive it.
std::unique_ptr<AttentionOps> make_cpu_attention_ops(WorkerPool* pool);

}  // namespace vortex::attention
