// One product of one shape in cublasLt's terms, with its algorithm.
#pragma once

#include <cublasLt.h>
#include <cuda_fp8.h>

#include <memory>
#include <type_traits>

#include "device/cuda/memory.h"
#include "kernels/cuda/gemm.h"

namespace vortex::cuda {

void check_lt(cublasStatus_t status, const char* what);
#define VORTEX_LT_CHECK(call) ::vortex::cuda::check_lt((call), #call)

struct LtDeleter {
  void operator()(cublasLtHandle_t handle) const { cublasLtDestroy(handle); }
  void operator()(cublasLtMatmulDesc_t desc) const { cublasLtMatmulDescDestroy(desc); }
  void operator()(cublasLtMatrixLayout_t layout) const { cublasLtMatrixLayoutDestroy(layout); }
  void operator()(cublasLtMatmulPreference_t preference) const { cublasLtMatmulPreferenceDestroy(preference); }
};
template <class Handle>
using Lt = std::unique_ptr<std::remove_pointer_t<Handle>, LtDeleter>;

/// What all products share.
struct LtContext {
  LtContext();

  Lt<cublasLtHandle_t> handle;
  DeviceArray<std::byte> workspace;
  DeviceArray<__nv_fp8_e4m3> quantized;  // inputs of products with fp8 weights
  DeviceArray<float> scales;             // of their rows
};

/// Bytes that the arrays of a call are aligned to, 256 at most.
struct Alignments {
  uint32_t weight, x, y;
};
Alignments alignments(const GemmCall& call);

class GemmPlan {
 public:
  /// For calls like `call`, whose leading dimensions are set and whose x is quantized where weights are fp8.
  GemmPlan(const LtContext& context, const GemmCall& call);

  void run(const LtContext& context, const GemmCall& call, cudaStream_t stream) const;

 private:
  void set_scales(const LtContext& context, const GemmCall& call) const;
  void choose(const LtContext& context, const GemmCall& call);

  Lt<cublasLtMatmulDesc_t> desc_;
  Lt<cublasLtMatrixLayout_t> weight_, x_, y_;
  cublasLtMatmulAlgo_t algorithm_{};
};

}  // namespace vortex::cuda
