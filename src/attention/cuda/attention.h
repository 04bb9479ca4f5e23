// Attention on the GPU: what each row of a step reads, and attention over it. Everything is queued on a stream; nothing
// waits for the device, allocates there or reads its results, so a decode step can be captured into a graph.
//
// Queries and outputs are bfloat16, sums float32. K and V (or the latent) are bfloat16 or fp8 e4m3 as the pool stores
// them. Semantics are those of attention/attention.h.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>

#include "device/cuda/memory.h"
#include "device/cuda/step_views.h"
#include "tensor/dtype.h"

namespace vortex::cuda {

/// The base fields of one layer and what is computed on them.
struct AttentionLayer {
  FieldPointer k, v;  // latent: k alone
  DType kv_dtype = DType::kBF16;
  int head_dim = 0;     // of a key
  int value_dim = 0;    // grouped-query: head_dim; latent: the first columns of a row that are its value
  bool latent = false;  // v is not a field: a token's value is the start of its key
  int group = 1;        // query heads a kv head
  float scale = 1.0f;
  int window = 0;                // tokens a query sees, itself included; 0: all. Prefill only: decode reads its list
  const float* sinks = nullptr;  // [kv_heads * group] or null
};

/// Pieces of rows, so that few long rows and many short ones both fill the GPU. Made on the device from the counts that
/// a list is planned to have; a selection may fill in fewer pages, pieces beyond them are empty.
struct WorkList {
  int32_t* row = nullptr;     // [capacity]
  int32_t* first = nullptr;   // [capacity] first list entry of the piece
  int32_t* pages = nullptr;   // [capacity] list entries of the piece
  int32_t* pieces = nullptr;  // [rows] of each row; merged by whoever is last
  int32_t* start = nullptr;   // [rows] the row's first piece; its others follow
  int32_t* total = nullptr;   // [1]
  int32_t capacity = 0;
};

/// The lists of one step, shared by all layers. Rows have room for `stride` pages.
struct StepLists {
  ListView all;       // every page: dense layers
  ListView window;    // the pages of the sliding window, with `window_skip`
  ListView selected;  // sparse layers: reserved pages in place, every page in short rows, middle slots for the flow
  int32_t* window_skip = nullptr;  // [sequences] tokens of the first listed page that the window leaves out
  WorkList all_work, window_work, selected_work;
};

/// Memory of the lists and of attention's partial results, for a model and its largest step.
class AttentionScratch {
 public:
  struct Limits {
    int sequences = 0;       // of a step, most
    int64_t max_length = 0;  // tokens of a sequence, most
    int kv_heads = 0, group = 1, page_tokens = 16;
    int value_dim = 0;
    int window = 0;       // 0: no sliding layers
    bool sparse = false;  // a selected list is wanted
    int multiprocessors = 0;
  };
  explicit AttentionScratch(const Limits& limits);
  ~AttentionScratch();

  /// Queues what makes all lists of the step (tensor/paged.h: list_all_pages, list_window_pages, list_reserved_pages)
  /// and their work, in at most three launches.
  void plan_step(const StepView& step, cudaStream_t stream);
  const StepLists& lists() const { return lists_; }

  /// out[rows, group, value_dim] = attention of q[rows, group, head_dim] over `list`, one of lists(). Padding rows are
  /// not written.
  void decode(const AttentionLayer& layer, const StepView& step, const ListView& list, const __nv_bfloat16* q,
              __nv_bfloat16* out, cudaStream_t stream);

 private:
  struct Memory;
  Limits limits_;
  StepLists lists_;
  std::unique_ptr<Memory> memory_;
};

/// Consecutive new tokens of one prompt, on the device.
struct PrefillSlice {
  int32_t sequence = 0;  // row of StepView::tables
  int32_t token = 0;     // first, in q and out
  int32_t count = 0;
  int32_t first = 0;  // position of the first
};

/// Causal attention of all slices' tokens over what is stored up to each of them: q, out [tokens, heads, dim].
/// `slices` in device memory, `most_tokens` the longest slice's count. Latent: q is absorbed, out [.., value_dim].
void prefill(const AttentionLayer& layer, const StepView& step, const PrefillSlice* slices, int count,
             int32_t most_tokens, const __nv_bfloat16* q, __nv_bfloat16* out, cudaStream_t stream);

/// Whether a layer's shape and types are ones that the kernels take; else an error that names what is not.
Status check_layer(const AttentionLayer& layer, int page_tokens);

}  // namespace vortex::cuda
