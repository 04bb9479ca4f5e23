// The products of one DenseOps::matmul call: quantise the inputs that need it, share all work among the threads, run.
#pragma once

#include <span>
#include <vector>

#include "base/worker_pool.h"
#include "kernels/cpu/isa_kernels.h"
#include "kernels/cpu/work_split.h"
#include "kernels/dense_ops.h"

namespace vortex::kernels::cpu {

class GroupedProducts {
 public:
  /// Both must outlive this.
  GroupedProducts(WorkerPool* pool, const IsaKernels& kernels) : pool_(pool), kernels_(kernels) {}

  /// Every output is the same bit for bit whatever else is in the call and however many threads there are. Scratch is
  /// kept for the next call: one that is not larger allocates nothing.
  void run(std::span<const ProductGroup> groups);

 private:
  /// A group that has tokens and products.
  struct Input {
    const ProductGroup* group;
    int64_t cols;
    QuantizedRows quantized;  // empty where all weights are floats
  };
  /// At most kTokenChunk tokens of an input, quantised by one thread.
  struct Chunk {
    size_t input;
    int64_t token;
  };
  /// One product with some of its tokens: whole chunks of kTokenChunk, but for the last.
  struct Piece {
    size_t input;
    const Product* product;
    int64_t first_token, last_token;
  };

  void collect_inputs(std::span<const ProductGroup> groups);
  void quantize_inputs();
  int64_t reserve_codes();
  void quantize_chunk(const Chunk& chunk) const;
  void split_work();
  void multiply_part(int part, int parts) const;
  void multiply(const Piece& piece, PanelRange panels) const;

  WorkerPool* pool_;
  const IsaKernels& kernels_;
  std::vector<Input> inputs_;
  std::vector<Chunk> chunks_;
  std::vector<Piece> pieces_;
  WorkSplit split_;  // a run a piece
  std::vector<int8_t> codes_;
  std::vector<float> scales_, sums_;
};

}  // namespace vortex::kernels::cpu
