// The products of one DenseOps::matmul call: bring the inputs into the form the kernels read, share all work among the
// threads, run.
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
    bool quantize;            // for weights in blocks
    bool gather;              // for float weights, where the group names its rows
    QuantizedRows quantized;  // when quantize
    float* gathered;          // when gather
  };
  /// At most kTokenChunk tokens of an input, prepared by one thread.
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
  void reserve_scratch();
  void prepare_inputs();
  void prepare_chunk(const Chunk& chunk) const;
  void split_work();
  void multiply_part(int part, int parts) const;
  void multiply(const Piece& piece, PanelRange panels) const;

  WorkerPool* pool_;
  const IsaKernels& kernels_;
  std::vector<Input> inputs_;
  std::vector<Chunk> chunks_;
  int64_t to_prepare_ = 0;  // elements
  std::vector<Piece> pieces_;
  WorkSplit split_;  // a run a piece
  std::vector<int8_t> codes_;
  std::vector<float> scales_, sums_, gathered_;
};

}  // namespace vortex::kernels::cpu
