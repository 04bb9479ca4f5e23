// Rotation of one head that lies in shared memory, and where a token's row of a page is.
#pragma once

#include <cuda_fp8.h>

#include "device/cuda/step_views.h"
#include "kernels/cuda/device_math.cuh"
#include "tensor/dtype.h"

namespace vortex::cuda {

/// Angles of one position: cos [pairs], then sin [pairs].
struct Rotation {
  const float* angles;
  int pairs;
  bool interleaved;  // pairs (2i, 2i + 1); else (i, i + pairs)

  /// Element `i` of the rotated `head`; those past the pairs stay as they are.
  __device__ float at(const float* head, int i) const {
    if (i >= 2 * pairs) return head[i];
    const bool second = interleaved ? i % 2 == 1 : i >= pairs;
    const int pair = interleaved ? i / 2 : second ? i - pairs : i;
    const float cosine = angles[pair], sine = angles[pairs + pair];
    const int distance = interleaved ? 1 : pairs;
    return second ? head[i] * cosine + head[i - distance] * sine : head[i] * cosine - head[i + distance] * sine;
  }
};

template <class T>
__device__ inline T to_stored(float value) {
  return static_cast<T>(value);  // fp8: saturated
}

/// The row of token `position` of a head in its page of rows of `cols` values.
template <class T>
__device__ inline T* stored_row(const FieldPointer& field, const StepView& step, int32_t sequence, int32_t position,
                                int32_t head, int cols) {
  const int64_t page = step.page_id(sequence, position / step.page_tokens, head);
  return reinterpret_cast<T*>(field.base + page * field.page_bytes) +
         static_cast<int64_t>(position % step.page_tokens) * cols;
}

/// Calls `body` with a value of the type that the cache holds: bfloat16 or fp8 e4m3; else fails.
template <class Body>
void with_stored_type(DType dtype, Body&& body) {
  if (dtype == DType::kBF16)
    body(bf16{});
  else if (dtype == DType::kF8E4M3)
    body(__nv_fp8_e4m3{});
  else
    fail("kv cache", "keys and values are bfloat16 or fp8 e4m3 on a GPU");
}

}  // namespace vortex::cuda
