// The token after each row of logits, chosen on the GPU as sample/sampler.h chooses it on the host.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>

#include "device/cuda/memory.h"

namespace vortex::cuda {

struct DrawRow {
  float temperature = 0;  // 0: the largest logit, the lowest id of equals
  int32_t top_k = 0;      // 0: all
  float top_p = 1, min_p = 0;
  double uniform = 0;
};

class DrawScratch {
 public:
  DrawScratch(int rows, int vocab);
  ~DrawScratch();
  /// tokens[r] from logits [rows, vocab] float32; -2 where a logit is NaN or infinite (minus infinity too). `draws` in
  /// device memory.
  void run(const float* logits, const DrawRow* draws, int rows, int vocab, int32_t* tokens, cudaStream_t stream);

 private:
  struct Memory;
  std::unique_ptr<Memory> memory_;
};

}  // namespace vortex::cuda
