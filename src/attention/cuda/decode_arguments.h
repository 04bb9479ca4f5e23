// What the decode kernels share: their arguments, and where the parts of a row meet.
#pragma once

#include "attention/cuda/attention.h"

namespace vortex::cuda {

/// Partial results of pieces. Counters are zero between launches: whoever is last sets them back, so that a graph can
/// be replayed.
struct Partials {
  float* out = nullptr;        // [capacity, group, value_dim] not yet divided
  float2* stats = nullptr;     // [capacity, group] largest score (times log2 e), sum of weights
  int32_t* arrived = nullptr;  // [rows, blocks of query heads]
  int32_t* queue = nullptr;    // [2] next piece, blocks that are done
};

struct DecodeArguments {
  AttentionLayer layer;
  StepView step;
  ListView list;
  WorkList work;
  const int32_t* skip = nullptr;  // [sequences] or null
  bool short_rows = false;        // the list names a part of the pages
  Partials partials;
  const __nv_bfloat16* q = nullptr;
  __nv_bfloat16* out = nullptr;
};

/// For `slots` pieces at a time; false, and nothing is queued, for a shape it does not take.
bool decode_gqa(const DecodeArguments& arguments, int slots, cudaStream_t stream);
/// The same for latent pages; `slots` counts pieces, each of which takes a block for every 64 heads.
bool decode_latent(const DecodeArguments& arguments, int slots, cudaStream_t stream);
/// Any shape and type, one block a row and query head.
void decode_generic(const DecodeArguments& arguments, cudaStream_t stream);

/// Prefill, as prefill() has it; false, and nothing is queued, for a shape it does not take.
bool prefill_gqa(const AttentionLayer& layer, const StepView& step, const PrefillSlice* slices, int count,
                 int32_t most_tokens, const __nv_bfloat16* q, __nv_bfloat16* out, cudaStream_t stream);
bool prefill_latent(const AttentionLayer& layer, const StepView& step, const PrefillSlice* slices, int count,
                    int32_t most_tokens, const __nv_bfloat16* q, __nv_bfloat16* out, cudaStream_t stream);
void prefill_generic(const AttentionLayer& layer, const StepView& step, const PrefillSlice* slices, int count,
                     int32_t most_tokens, const __nv_bfloat16* q, __nv_bfloat16* out, cudaStream_t stream);

}  // namespace vortex::cuda
