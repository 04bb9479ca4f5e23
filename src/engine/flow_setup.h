// From a VortexConfig to a flow that runs: which flow, for what shapes, in what type.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "engine/vortex_config.h"
#include "flow/flow.h"
#include "loader/model_config.h"

namespace vortex {

/// That the flow which the config names exists, before anything slow is done. kConfiguration naming the key.
Status check_flow(const VortexConfig& config);

/// Validates the config against the model and compiles its flow for the model's shapes, over a cache of `kv_dtype`.
/// `pool` must outlive the result.
Result<std::unique_ptr<flow::CompiledFlow>> compile_flow(const VortexConfig& config, const ModelConfig& model,
                                                         DType kv_dtype, WorkerPool* pool);

/// By layer: the flow selects there; false for those of layers_skip.
std::vector<bool> sparse_layers(const VortexConfig& config, int layers);

}  // namespace vortex
