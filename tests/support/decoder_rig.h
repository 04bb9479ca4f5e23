// A decoder with its own pages, driven by hand: for tests that look at logits.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "attention/attention.h"
#include "base/worker_pool.h"
#include "device/device.h"
#include "kernels/dense_ops.h"
#include "kv/index/sequence_table.h"
#include "kv/store/kv_store.h"
#include "loader/model_files.h"
#include "model/cpu_runner.h"
#include "model/decoder.h"
#include "model/rank_group.h"

namespace vortex::testing {

enum class RigBackend { kReference, kCpu };

/// With `ranks` a rig is one of several that hold a share each, all driven alike, each by a thread of its own: rank 0's
/// gives the logits, the others' zeros.
class DecoderRig {
 public:
  DecoderRig(const std::string& model_path, RigBackend backend, DType kv_dtype, int page_tokens = 16,
             int64_t max_tokens = 4096, std::optional<DType> quantize = std::nullopt,
             comm::Communicator* ranks = nullptr, std::span<const FieldSpec> flow_fields = {});

  /// Appends tokens to the one sequence in a single prefill step; logits of the last `wanted` of them.
  std::vector<std::vector<float>> prefill(std::span<const int32_t> ids, int64_t wanted);
  /// Appends one token in a decode step; its logits.
  std::vector<float> decode(int32_t id);
  void restart();
  /// From now on decodes read `budget` pages that `flow` selects, in all layers; `hook` sees them. Both outlive the
  /// rig, which was made with the flow's fields.
  void select_by(flow::CompiledFlow* flow, int32_t budget, model::SelectionHook* hook);
  /// The growth of `counter` in Decoder::forward is added to `grown` from now on; both outlive the rig.
  void watch(const std::atomic<int64_t>* counter, int64_t* grown);

  const ModelConfig& config() const { return decoder_->config(); }

 private:
  std::vector<std::vector<float>> run(std::span<const int32_t> ids, int64_t wanted, bool decode);

  std::unique_ptr<ModelFiles> files_;
  WorkerPool pool_{2};
  std::unique_ptr<kernels::DenseOps> dense_;
  std::unique_ptr<attention::AttentionOps> attention_;
  std::unique_ptr<model::RankGroup> group_;  // null: the model is whole
  std::unique_ptr<model::Decoder> decoder_;
  std::unique_ptr<device::Device> device_;
  std::unique_ptr<model::CpuRunner> runner_;
  std::unique_ptr<kv::KvStore> store_;
  std::vector<PageView> views_;
  std::unique_ptr<kv::SlabAllocator> allocator_;
  std::unique_ptr<kv::SequenceTable> table_;
  int64_t length_ = 0;
  int32_t budget_ = 0;  // 0: dense
  model::SelectionHook* hook_ = nullptr;
  const std::atomic<int64_t>* counter_ = nullptr;
  int64_t* grown_ = nullptr;
};

}  // namespace vortex::testing
