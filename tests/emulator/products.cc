// The calls of cuBLASLt that src/kernels/cuda makes: y^T = w x^T in float32, plain loops.
#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_fp8.h>

#include <cstring>
#include <vector>

#include "runtime.h"

namespace {

struct Description {
  const float* weight_scale = nullptr;  // [rows]
  const float* x_scale = nullptr;       // [tokens]
};
/// Column-major.
struct Layout {
  cudaDataType_t type;
  int64_t rows, cols, ld;
  int32_t batch = 1;
  int64_t step = 0;
};

float number(const void* data, cudaDataType_t type, int64_t i) {
  if (type == CUDA_R_16BF) return __bfloat162float(static_cast<const __nv_bfloat16*>(data)[i]);
  if (type == CUDA_R_8F_E4M3) return static_cast<float>(static_cast<const __nv_fp8_e4m3*>(data)[i]);
  return static_cast<const float*>(data)[i];
}

/// Column `col` of a problem of the batch.
void read_column(const void* data, const Layout& layout, int64_t problem, int64_t col, std::vector<float>* out) {
  out->resize(static_cast<size_t>(layout.rows));
  for (int64_t i = 0; i < layout.rows; ++i)
    (*out)[static_cast<size_t>(i)] = number(data, layout.type, problem * layout.step + col * layout.ld + i);
}

struct Product {
  Description description;
  Layout a, b, d;
  const void *a_data, *b_data;
  void* d_data;
  float beta;

  void write(int64_t at, float sum) const {
    if (d.type == CUDA_R_32F) {
      auto* out = static_cast<float*>(d_data) + at;
      *out = sum + (beta != 0 ? beta * *out : 0.0f);
    } else {
      auto* out = static_cast<__nv_bfloat16*>(d_data) + at;
      *out = __float2bfloat16(sum + (beta != 0 ? beta * __bfloat162float(*out) : 0.0f));
    }
  }

  void run_problem(int64_t problem) const {
    std::vector<std::vector<float>> x(static_cast<size_t>(b.cols));
    for (int64_t n = 0; n < b.cols; ++n) read_column(b_data, b, problem, n, &x[static_cast<size_t>(n)]);
    std::vector<float> weight;
    for (int64_t m = 0; m < a.cols; ++m) {
      read_column(a_data, a, problem, m, &weight);
      for (int64_t n = 0; n < b.cols; ++n) {
        const std::vector<float>& token = x[static_cast<size_t>(n)];
        float sum = 0;
        for (size_t k = 0; k < weight.size(); ++k) sum += weight[k] * token[k];
        if (description.weight_scale != nullptr) sum *= description.weight_scale[m] * description.x_scale[n];
        write(problem * d.step + n * d.ld + m, sum);
      }
    }
  }

  void run() const {
    for (int64_t problem = 0; problem < a.batch; ++problem) run_problem(problem);
  }
};

template <class T, class Handle>
T* of(Handle handle) {
  return reinterpret_cast<T*>(handle);
}

}  // namespace

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = reinterpret_cast<cublasLtHandle_t>(new int);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete of<int>(handle);
  return CUBLAS_STATUS_SUCCESS;
}
const char* cublasLtGetStatusString(cublasStatus_t) { return "an error of the emulated GPU"; }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* desc, cublasComputeType_t, cudaDataType_t) {
  *desc = reinterpret_cast<cublasLtMatmulDesc_t>(new Description);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
  delete of<Description>(desc);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, size_t) {
  if (attribute == CUBLASLT_MATMUL_DESC_A_SCALE_POINTER)
    std::memcpy(&of<Description>(desc)->weight_scale, value, sizeof(void*));
  if (attribute == CUBLASLT_MATMUL_DESC_B_SCALE_POINTER)
    std::memcpy(&of<Description>(desc)->x_scale, value, sizeof(void*));
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type, uint64_t rows,
                                          uint64_t cols, int64_t ld) {
  *layout = reinterpret_cast<cublasLtMatrixLayout_t>(
      new Layout{type, static_cast<int64_t>(rows), static_cast<int64_t>(cols), ld});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete of<Layout>(layout);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute, const void* value, size_t) {
  if (attribute == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT) std::memcpy(&of<Layout>(layout)->batch, value, sizeof(int32_t));
  if (attribute == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET)
    std::memcpy(&of<Layout>(layout)->step, value, sizeof(int64_t));
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = reinterpret_cast<cublasLtMatmulPreference_t>(new int);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete of<int>(preference);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t, cublasLtMatmulPreferenceAttributes_t,
                                                    const void*, size_t) {
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t, int, cublasLtMatmulHeuristicResult_t*,
                                              int* found) {
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t desc, const void*, const void* a,
                              cublasLtMatrixLayout_t a_layout, const void* b, cublasLtMatrixLayout_t b_layout,
                              const void* beta, const void*, cublasLtMatrixLayout_t, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t*, void*, size_t,
                              cudaStream_t stream) {
  const Product product{
      *of<Description>(desc),          *of<Layout>(a_layout), *of<Layout>(b_layout), *of<Layout>(d_layout), a, b, d,
      *static_cast<const float*>(beta)};
  vortex::emulator::queue(stream, [product] { product.run(); });
  return CUBLAS_STATUS_SUCCESS;
}
