#include "kernels/cuda/gemm_plan.h"

#include <fmt/core.h>

namespace vortex::cuda {
namespace {

constexpr int64_t kWorkspaceBytes = int64_t{32} << 20, kQuantizedBytes = int64_t{32} << 20;
constexpr int64_t kMaxQuantizedTokens = 4096;

/// Bytes that a pointer and a step between problems are aligned to, at most what the library asks for.
uint32_t alignment(const void* data, int64_t step_bytes) {
  const auto bits = reinterpret_cast<uintptr_t>(data) | static_cast<uintptr_t>(step_bytes) | 256;
  return static_cast<uint32_t>(bits & (~bits + 1));
}

/// A row-major [rows, cols] is a column-major [cols, rows].
Lt<cublasLtMatrixLayout_t> make_layout(cudaDataType_t type, int64_t rows, int64_t cols, int64_t ld, int batch,
                                       int64_t step) {
  cublasLtMatrixLayout_t raw = nullptr;
  VORTEX_LT_CHECK(cublasLtMatrixLayoutCreate(&raw, type, static_cast<uint64_t>(cols), static_cast<uint64_t>(rows), ld));
  Lt<cublasLtMatrixLayout_t> layout(raw);
  if (batch > 1) {
    const int32_t count = batch;
    VORTEX_LT_CHECK(cublasLtMatrixLayoutSetAttribute(raw, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof(count)));
    VORTEX_LT_CHECK(
        cublasLtMatrixLayoutSetAttribute(raw, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step, sizeof(step)));
  }
  return layout;
}

}  // namespace

void check_lt(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS) fail("cublasLt", fmt::format("{}: {}", what, cublasLtGetStatusString(status)));
}

LtContext::LtContext() : workspace(kWorkspaceBytes), quantized(kQuantizedBytes), scales(kMaxQuantizedTokens) {
  cublasLtHandle_t raw = nullptr;
  VORTEX_LT_CHECK(cublasLtCreate(&raw));
  handle.reset(raw);
}

Alignments alignments(const GemmCall& call) {
  const int64_t bytes = call.weight_scale != nullptr ? 1 : 2;
  return {alignment(call.weight, call.weight_step * bytes), alignment(call.x, call.x_step * bytes),
          alignment(call.y, call.y_step * (call.y_float ? 4 : 2))};
}

/// y^T = w x^T in the library's column-major terms.
GemmPlan::GemmPlan(const LtContext& context, const GemmCall& call) {
  cublasLtMatmulDesc_t desc = nullptr;
  VORTEX_LT_CHECK(cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  desc_.reset(desc);
  const cublasOperation_t transposed = CUBLAS_OP_T;
  VORTEX_LT_CHECK(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof(transposed)));
  const cudaDataType_t type = call.weight_scale != nullptr ? CUDA_R_8F_E4M3 : CUDA_R_16BF;
  if (call.weight_scale != nullptr) set_scales(context, call);
  weight_ = make_layout(type, call.rows, call.cols, call.weight_ld, call.batch, call.weight_step);
  x_ = make_layout(type, call.tokens, call.cols, call.x_ld, call.batch, call.x_step);
  y_ = make_layout(call.y_float ? CUDA_R_32F : CUDA_R_16BF, call.tokens, call.rows, call.y_ld, call.batch, call.y_step);
  choose(context, call);
}

/// A factor a row of each input.
void GemmPlan::set_scales(const LtContext& context, const GemmCall& call) const {
  const auto set = [&](cublasLtMatmulDescAttributes_t attribute, auto value) {
    VORTEX_LT_CHECK(cublasLtMatmulDescSetAttribute(desc_.get(), attribute, &value, sizeof(value)));
  };
  constexpr auto kRows = static_cast<int32_t>(CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F);
  set(CUBLASLT_MATMUL_DESC_A_SCALE_MODE, kRows);
  set(CUBLASLT_MATMUL_DESC_B_SCALE_MODE, kRows);
  set(CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, static_cast<const void*>(call.weight_scale));
  set(CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, static_cast<const void*>(context.scales.data()));
}

void GemmPlan::run(const LtContext& context, const GemmCall& call, cudaStream_t stream) const {
  if (call.weight_scale != nullptr) set_scales(context, call);
  const float alpha = 1.0f, beta = call.accumulate ? 1.0f : 0.0f;
  VORTEX_LT_CHECK(cublasLtMatmul(context.handle.get(), desc_.get(), &alpha, call.weight, weight_.get(), call.x,
                                 x_.get(), &beta, call.y, y_.get(), call.y, y_.get(), &algorithm_,
                                 context.workspace.data(), static_cast<size_t>(kWorkspaceBytes), stream));
}

/// The library's first choice: timing the next ones found none that was faster.
void GemmPlan::choose(const LtContext& context, const GemmCall& call) {
  cublasLtMatmulPreference_t raw = nullptr;
  VORTEX_LT_CHECK(cublasLtMatmulPreferenceCreate(&raw));
  const Lt<cublasLtMatmulPreference_t> preference(raw);
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
    VORTEX_LT_CHECK(cublasLtMatmulPreferenceSetAttribute(raw, attribute, &value, sizeof(value)));
  };
  const Alignments aligned = alignments(call);
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<uint64_t>(kWorkspaceBytes));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, aligned.weight);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, aligned.x);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, aligned.y);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, aligned.y);
  cublasLtMatmulHeuristicResult_t found{};
  int count = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(context.handle.get(), desc_.get(), weight_.get(),
                                                               x_.get(), y_.get(), y_.get(), raw, 1, &found, &count);
  if (status != CUBLAS_STATUS_SUCCESS || count == 0)
    fail("cublasLt", fmt::format("no algorithm for {} tokens, [{}, {}] weights", call.tokens, call.rows, call.cols));
  algorithm_ = found.algo;
}

}  // namespace vortex::cuda
