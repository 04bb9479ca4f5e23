// AttentionOps: attention over pages. One contract, one implementation a backend: ref/ (plain loops, the oracle),
// cpu/, later cuda/. Queries and outputs are float32; K and V are read as the pool stores them.
//
// Two layouts of a page and kv head. Grouped-query: field 0 is k, field 1 is v, [page_tokens, head_dim] each. Latent
// (MLA): field 0 is latent, [page_tokens, width]; a token's key is its whole row, its value the row's first
// `latent_rank` columns, so a row is read once for both.
//
// Fields are float32, bfloat16 or 8-bit codes with a step a row (tensor/codes.h). decode() multiplies keys of codes in
// integers: it rounds each query head to 14 bits first (round_query_row_wide). Nothing else is rounded anywhere.
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

/// What all tokens of a layer share.
struct AttentionShape {
  int group = 1;        // query heads a kv head
  float scale = 1.0f;   // weights are softmax(scale * q . k)
  int latent_rank = 0;  // columns of the latent that are the value; 0: k and v are fields of their own
  int window = 0;       // prefill: tokens a query sees, itself included; 0: all. Decode sees what its list names
  const float* sinks = nullptr;  // [kv_heads * group], null: none. A logit each, unscaled, that takes weight and has no
                                 // value: the weights of a head's tokens add up to less than 1
};

/// Keys and values of a prefill that were made from latents, a head each (MLA): key h of token t is
/// [expanded[t, h, 0 .. nope) | the latent's columns from latent_rank on], value h is expanded[t, h, nope .. nope + v).
struct ExpandedHeads {
  const float* data = nullptr;  // [tokens from position 0, heads, nope + v_dim], tokens `stride` floats apart
  int64_t stride = 0;
  int heads = 0;
  int nope = 0;
  int v_dim = 0;
};

class AttentionOps {
 public:
  virtual ~AttentionOps() = default;

  /// Writes k and v of the slice's tokens to their places: k, v [count, kv_heads, head_dim], tokens `stride` floats
  /// apart. Rounds to the field's dtype (bfloat16: nearest even; codes: encode_row). Latent pages have no field 1: v is
  /// null.
  virtual void store(const PageView& view, const TokenSlice& slice, const float* k, const float* v, int64_t stride) = 0;

  /// The first `cols` columns of field 0 of tokens [first, first + count) of kv head 0, as float32: out [count, cols].
  virtual void load(const PageView& view, const TokenSlice& slice, int cols, float* out) = 0;

  /// Causal attention of the slice's tokens over everything stored up to each of them (store() came first), as far
  /// back as the window: q [count, heads, head_dim] with tokens `q_stride` floats apart, out [count, heads, value dim]
  /// the same with `out_stride`. Query head h reads kv head h / group.
  virtual void prefill(const PageView& view, const TokenSlice& slice, const AttentionShape& shape, const float* q,
                       int64_t q_stride, float* out, int64_t out_stride) = 0;

  /// The same for some heads of a latent model with keys and values as `expanded` gives them for all tokens up to the
  /// slice's last: q [count, heads, nope + rope], out [count, heads, v_dim]. shape.group is not used.
  virtual void prefill_expanded(const PageView& view, const TokenSlice& slice, const AttentionShape& shape,
                                const ExpandedHeads& expanded, const float* q, int64_t q_stride, float* out,
                                int64_t out_stride) = 0;

  /// Decode: row r's `group` query heads q[r] [group, head_dim] attend to the pages that list row r names.
  /// Rows are contiguous: q [rows, group, head_dim], out [rows, group, value dim].
  virtual void decode(const PageView& view, const PageList& list, const AttentionShape& shape, const float* q,
                      float* out) = 0;
};

/// Plain loops, softmax in double: the oracle.
std::unique_ptr<AttentionOps> make_ref_attention_ops();

/// Vectorised and threaded on `pool`, which must outlive it.
std::unique_ptr<AttentionOps> make_cpu_attention_ops(WorkerPool* pool);

}  // namespace vortex::attention
