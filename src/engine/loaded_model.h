// LoadedModel: a model's weights in memory and the kernels it runs on.
#pragma once

#include <memory>

#include "attention/attention.h"
#include "base/worker_pool.h"
#include "device/device.h"
#include "engine/options.h"
#include "kernels/dense_ops.h"
#include "loader/model_files.h"
#include "model/decoder.h"

namespace vortex {

/// Opens what `options.model` names: a folder, a .gguf or, for dummy weights, a config.
Result<std::unique_ptr<ModelFiles>> open_model(const EngineOptions& options);

/// Most tokens of a sequence: --max-model-len, else what the model was trained for. kConfiguration above that.
Result<int64_t> context_length(const EngineOptions& options, const ModelConfig& config);

/// Members in the order in which they need each other.
struct LoadedModel {
  std::unique_ptr<ModelFiles> files;
  std::unique_ptr<WorkerPool> pool;
  std::unique_ptr<device::Device> device;
  std::unique_ptr<kernels::DenseOps> dense;
  std::unique_ptr<attention::AttentionOps> attention;
  std::unique_ptr<model::Decoder> decoder;
  DType kv_dtype = DType::kBF16;  // of K and V in the cache

  const ModelConfig& config() const { return decoder->config(); }

  /// kUnsupported for a device this build lacks, else what the files are refused for.
  static Result<LoadedModel> load(const EngineOptions& options, std::unique_ptr<ModelFiles> files);
};

}  // namespace vortex
