// CudaRanks: what a model on the GPU needs of the other ranks, as model/rank_group.h on the CPU: sums, the rows that
// several ranks hold, and on rank 0 the logits and the reports of flows. Everything is in the order of a stream.
#pragma once

#include <cuda_bf16.h>

#include <memory>
#include <vector>

#include "comm/cuda/device_communicator.h"
#include "device/cuda/memory.h"
#include "loader/model_files.h"
#include "loader/rank_share.h"

namespace vortex::cuda {

class CudaRanks {
 public:
  /// `files` is split already and outlives it. Throws Failure where a share is one that kernels do not take.
  CudaRanks(std::unique_ptr<DeviceCommunicator> device, const ModelFiles& files);

  const RankShare& share() const { return *files_.share(); }
  const ModelConfig& whole() const { return files_.whole_config(); }
  int size() const { return share().ranks; }
  /// Rank 0 hears of the requests and answers them.
  bool leads() const { return share().rank == 0; }
  /// Whether the rows of `rank` are counted: of ranks that hold the same, one is.
  bool counts(int rank) const { return rank % share().replicas == 0; }
  DeviceCommunicator& device() { return *device_; }

  /// Memory for steps of at most `decodes` decodes. Before the first step.
  void prepare(int64_t decodes);
  /// Memory for so many rows of logits; what graphs know of it is void.
  void reserve_logits(int64_t rows);
  /// What prepare() and reserve_logits() take.
  int64_t bytes(int64_t decodes, int64_t rows) const;

  /// The queries by which a selection is made: from q [decodes, heads of this rank, head_dim] to [decodes, heads of the
  /// row, head_dim] where several ranks hold the row, else q. `q` has room for twice as many decodes.
  const __nv_bfloat16* whole_rows(const __nv_bfloat16* q, int64_t decodes, cudaStream_t stream);

  /// Where this rank's logits [rows, its part of the vocabulary] go before gather_logits().
  float* logit_part() const { return logit_part_.data(); }
  /// logits [rows, vocabulary] on rank 0; null elsewhere.
  void gather_logits(int64_t rows, float* logits, cudaStream_t stream);

  /// [ranks, decodes] of what each rank's flow said: NaN, and pages where they are not planned (null: they are).
  void gather_reports(const int32_t* nan_sequences, const unsigned long long* pages, int64_t decodes,
                      cudaStream_t stream);
  const DeviceArray<int32_t>& nan_sequences() const { return nan_sequences_; }
  const DeviceArray<unsigned long long>& pages() const { return pages_; }

 private:
  int64_t most_heads() const;
  int64_t most_vocab() const;
  int64_t row_heads() const { return whole().heads / whole().kv_heads; }

  std::unique_ptr<DeviceCommunicator> device_;
  const ModelFiles& files_;
  std::vector<RankShare> shares_;  // by rank
  DeviceArray<__nv_bfloat16> gathered_queries_, rows_;
  DeviceArray<float> logit_part_, gathered_logits_;
  DeviceArray<int32_t> nan_sequences_;
  DeviceArray<unsigned long long> pages_;
};

}  // namespace vortex::cuda
