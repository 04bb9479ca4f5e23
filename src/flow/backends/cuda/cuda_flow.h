// A flow on the GPU: its plan as CUDA source, compiled at run time for the device at hand and kept by content hash.
// Chooses the same pages as the interpreter on the same inputs (flow/plan/backend.h), in at most two launches a layer.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <memory>
#include <string>

#include "base/result.h"
#include "device/cuda/step_views.h"
#include "flow/plan/plan.h"
#include "tensor/paged.h"

namespace vortex::flow {

/// The largest step, by which scratch is sized.
struct CudaFlowLimits {
  int sequences = 0;      // decodes of a step, padding included
  int64_t max_pages = 0;  // of a sequence
  int kv_heads = 1;
  int page_tokens = 16;
  int pages_per_slab = 1;
  int reserved_bos = 1, reserved_eos = 1;
  int layers = 1;  // of the model: PageView::layer is below this
};

class CudaFlow {
 public:
  /// The source for a plan, for whichever compute capability: what tests read. Deterministic.
  static std::string source(const Plan& plan, const CudaFlowLimits& limits);
  /// Compiles for the current device and allocates scratch. `plan` must outlive the result. Errors of the compiler are
  /// ours, never the author's: kInternal, with the first line of its log.
  static Result<std::unique_ptr<CudaFlow>> compile(const Plan& plan, const CudaFlowLimits& limits);
  virtual ~CudaFlow() = default;

  /// Runs forward_cache on the pages whose last token is among `tokens`, which are stored. `view` has device pointers.
  virtual void update(const PageView& view, const cuda::StepView& step, const cuda::TokenView& tokens,
                      cudaStream_t stream) = 0;

  /// The same for the decodes of a step together with the selection of their pages: fills the middle slots [bos, m -
  /// eos) of sparse rows of `list`, and their counts where the plan has no fixed count. q is [rows, group, head_dim].
  /// states: [decodes] a block of state_bytes() a sequence, zero at its start; null where the plan saves nothing.
  /// nan_sequences: [decodes], set to 1 where a score was NaN, never cleared.
  virtual void decode(const PageView& view, const cuda::StepView& step, const __nv_bfloat16* q, void* const* states,
                      cuda::ListView list, int32_t* nan_sequences, cudaStream_t stream) = 0;

  /// The two halves of decode, for measurements: the scores of all pages go to scratch, and pages are chosen by what
  /// the call before left there. Nothing that Save wrote is taken over.
  virtual void score(const PageView& view, const cuda::StepView& step, const __nv_bfloat16* q, void* const* states,
                     cudaStream_t stream) = 0;
  virtual void choose(const PageView& view, const cuda::StepView& step, const __nv_bfloat16* q, void* const* states,
                      cuda::ListView list, int32_t* nan_sequences, cudaStream_t stream) = 0;

  /// What Save keeps for one sequence, all layers; 0: nothing.
  virtual int64_t state_bytes() const = 0;
};

}  // namespace vortex::flow
