// LoadedModel: a model's weights in memory and what runs it.
#pragma once

#include <memory>

#include "attention/attention.h"
#include "base/worker_pool.h"
#include "comm/launch.h"
#include "device/device.h"
#include "engine/options.h"
#include "kernels/dense_ops.h"
#include "loader/model_files.h"
#include "model/decoder.h"
#include "model/rank_group.h"
#include "model/rank_leader.h"
#include "model/runner.h"

namespace vortex {

/// Opens what `options.model` names: a folder, a .gguf or, for dummy weights, a config.
Result<std::unique_ptr<ModelFiles>> open_model(const EngineOptions& options);

/// Most tokens of a sequence: --max-model-len, else what the model was trained for. kConfiguration above that.
Result<int64_t> context_length(const EngineOptions& options, const ModelConfig& config);

/// Members in the order in which they need each other.
struct LoadedModel {
  std::unique_ptr<ModelFiles> files;
  std::unique_ptr<WorkerPool> pool;
  // What the CPU's runner runs on; null when a GPU holds the weights.
  std::unique_ptr<device::Device> device;
  std::unique_ptr<kernels::DenseOps> dense;
  std::unique_ptr<attention::AttentionOps> attention;
  std::unique_ptr<model::RankGroup> ranks;  // null when the model is whole
  std::unique_ptr<model::Decoder> decoder;
  std::unique_ptr<model::Runner> runner;
  model::RankLeader* leader = nullptr;  // the runner, on rank 0 of several
  DType kv_dtype = DType::kBF16;        // of K and V in the cache

  /// The whole model's; runner->config() is that of this rank's share.
  const ModelConfig& config() const { return files->whole_config(); }

  /// This rank's share, when `group` has several: kUnsupported where the model cannot be split so. On the device of
  /// `options`; auto takes a GPU that is there and that can do what the other options ask for. kUnsupported for a
  /// device that this build or this machine lacks, else what the files are refused for.
  static Result<LoadedModel> load(const EngineOptions& options, std::unique_ptr<ModelFiles> files, comm::Group* group);
};

}  // namespace vortex
